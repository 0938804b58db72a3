// Package swingstore reads a swing-store, the database of the JavaScript
// system (@agoric/swing-store): it lists the vats in it, verifies every hash it
// keeps, and replays a vat's transcript on a real worker. It never writes.
package swingstore
