// go-on.mjs: lets the JavaScript kernel go on from a swing-store, and says what
// became of it.
//
//   node go-on.mjs PEER STORE MESSAGES
//
// PEER is as for make-swingstore.mjs, STORE a directory with a swing-store, which
// is changed; MESSAGES is a JSON array of [vatID, method, ...args] to the vats' root
// objects, each run until nothing is left to do. It prints a JSON object: results,
// in order, and the export records of spans and snapshots.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [peer, dir] = process.argv.slice(2, 4).map(arg => path.resolve(arg));
if (!process.argv[4]) throw Error('usage: go-on.mjs PEER STORE MESSAGES');
const messages = JSON.parse(process.argv[4]);

const peerRequire = createRequire(path.join(peer, 'package.json'));
const load = name => import(pathToFileURL(peerRequire.resolve(name)).href);

await load('@endo/init/pre-bundle-source.js');
await load('@endo/init');
const { buildKernelBundles, makeSwingsetController } = await load('@agoric/swingset-vat');
const { openSwingStore, makeSwingStoreExporter } = await load('@agoric/swing-store');
const { kslot, kunser } = await load('@agoric/kmarshal');

const { kernel: kernelBundle } = await buildKernelBundles();
const { kernelStorage, hostStorage } = openSwingStore(dir, { keepSnapshots: true, keepTranscripts: true });
const controller = await makeSwingsetController(kernelStorage, {}, { kernelBundle });

const results = [];
for (const [vatID, method, ...args] of messages) {
  const root = hostStorage.kvStore.get(`${vatID}.c.o+0`);
  const kpid = controller.queueToVatObject(kslot(root), method, args);
  await controller.run();
  await hostStorage.commit();
  if (controller.kpStatus(kpid) !== 'fulfilled') throw Error(`${vatID} ${method} came out ${controller.kpStatus(kpid)}`);
  results.push(kunser(controller.kpResolution(kpid)));
}
await controller.shutdown();
await hostStorage.close();

const records = {};
const exporter = makeSwingStoreExporter(dir, { artifactMode: 'debug' });
for await (const [key, value] of exporter.getExportData()) {
  if (!key.startsWith('kv.') && !key.startsWith('bundle.')) records[key] = value;
}
await exporter.close();
process.stdout.write(JSON.stringify({ results, records }));
