// Package swingstore reads a swing-store, the database of the JavaScript
// system (@agoric/swing-store), or an export of one: it lists the vats in it,
// verifies every hash it keeps, replays a vat's transcript on a real worker, and
// gives what an import takes. It never writes to it.
package swingstore
