// export-store.mjs: writes an export of a swing-store as Agoric's tools do
// (@agoric/cosmic-swingset, export-kernel-db.js).
//
//   node export-store.mjs PEER STORE OUT MODE
//
// PEER is a directory whose node_modules holds @agoric/swing-store, STORE the
// directory of a swing-store, OUT a new directory, MODE an artifact mode.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [peer, store, out] = process.argv.slice(2, 5).map(arg => path.resolve(arg));
const artifactMode = process.argv[5];
if (!artifactMode) throw Error('usage: export-store.mjs PEER STORE OUT MODE');

const peerRequire = createRequire(path.join(peer, 'package.json'));
const load = name => import(pathToFileURL(peerRequire.resolve(name)).href);

await load('@endo/init');
const { makeSwingStoreExporter } = await load('@agoric/swing-store');

fs.mkdirSync(out, { recursive: true });
const exporter = makeSwingStoreExporter(store, { artifactMode });
const manifest = { blockHeight: 7, artifactMode, data: 'export-data.jsonl', artifacts: [] };
const data = fs.openSync(path.join(out, manifest.data), 'wx');
for await (const entry of exporter.getExportData()) fs.writeSync(data, `${JSON.stringify(entry)}\n`);
fs.closeSync(data);
for await (const name of exporter.getArtifactNames()) {
  const chunks = [];
  for await (const chunk of exporter.getArtifact(name)) chunks.push(chunk);
  fs.writeFileSync(path.join(out, name), Buffer.concat(chunks));
  manifest.artifacts.push([name, name]);
}
await exporter.close();
fs.writeFileSync(path.join(out, 'export-manifest.json'), JSON.stringify(manifest, null, 2));
