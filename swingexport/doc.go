// Package swingexport writes and reads exports of a swing-store: a directory with
// export-manifest.json, the export data, and a file for each artifact, as the
// tools of the JavaScript system write them (@agoric/cosmic-swingset,
// export-kernel-db.js). What the records and artifacts say is their owners'
// business.
package swingexport
