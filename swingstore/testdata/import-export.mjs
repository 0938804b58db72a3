// import-export.mjs: lets the JavaScript store import an export and export it again.
//
//   node import-export.mjs PEER EXPORT STORE MODE
//
// PEER is a directory whose node_modules holds @agoric/swing-store, EXPORT the
// directory of an export, STORE a new directory for the store, MODE an artifact
// mode. It prints the export data of STORE as a JSON object. importSwingStore
// itself asserts that the store is complete for the mode.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [peer, from, to] = process.argv.slice(2, 5).map(arg => path.resolve(arg));
const artifactMode = process.argv[5];
if (!artifactMode) throw Error('usage: import-export.mjs PEER EXPORT STORE MODE');

const peerRequire = createRequire(path.join(peer, 'package.json'));
const load = name => import(pathToFileURL(peerRequire.resolve(name)).href);

await load('@endo/init');
const { importSwingStore, makeSwingStoreExporter } = await load('@agoric/swing-store');

const read = name => fs.readFileSync(path.join(from, name));
const manifest = JSON.parse(read('export-manifest.json'));
const files = new Map(manifest.artifacts);

const exporter = {
  getHostKV: () => undefined,
  *getExportData() {
    for (const line of read(manifest.data).toString().split('\n')) {
      if (line) yield JSON.parse(line);
    }
  },
  *getArtifactNames() {
    yield* files.keys();
  },
  *getArtifact(name) {
    yield read(files.get(name));
  },
  close: async () => {},
};

fs.mkdirSync(to, { recursive: true });
const { hostStorage } = await importSwingStore(exporter, to, { artifactMode });
hostStorage.kvStore.set('host.height', `${manifest.blockHeight}`);
await hostStorage.commit();
await hostStorage.close();

const data = {};
const again = makeSwingStoreExporter(to, { artifactMode });
for await (const [key, value] of again.getExportData()) data[key] = value;
for await (const name of again.getArtifactNames()) data[`artifact ${name}`] = '';
await again.close();
process.stdout.write(JSON.stringify(data));
