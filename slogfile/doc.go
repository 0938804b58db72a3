// Package slogfile writes slogs: files of one JSON line for each event of a
// supervisor, in the shapes that SwingSet's slogger gives them.
package slogfile
