// Package frames keeps what passes on the pipes between vatworkerd and its
// workers, the last of it in memory or all of it in files, and reads it back.
package frames
