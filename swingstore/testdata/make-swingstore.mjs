// make-swingstore.mjs: writes real swing-stores with the JavaScript system.
//
//   node make-swingstore.mjs PEER BUNDLES OUT [kept|pruned]
//
// PEER is a directory whose node_modules holds @agoric/swingset-vat and
// @agoric/swing-store, BUNDLES the directory of vat bundles made by
// `make bundles`, OUT a new directory. It writes, or only what is named,
//
//   OUT/kept/swingstore.sqlite      old items and snapshots kept
//   OUT/pruned/swingstore.sqlite    old items and snapshots dropped, as nodes do
//   OUT/open/swingstore.sqlite{,-wal,-shm}  kept, as a node that was killed leaves it
//   OUT/*.json                      what the JavaScript system says of each store
//
// All vats but the built-in ones run on real xsnap workers.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [peer, bundles, out] = process.argv.slice(2, 5).map(arg => path.resolve(arg));
const only = process.argv[5];
if (!out) throw Error('usage: make-swingstore.mjs PEER BUNDLES OUT [kept|pruned]');

const peerRequire = createRequire(path.join(peer, 'package.json'));
const load = name => import(pathToFileURL(peerRequire.resolve(name)).href);

await load('@endo/init/pre-bundle-source.js');
await load('@endo/init');
const { buildKernelBundles, initializeSwingset, makeSwingsetController } = await load('@agoric/swingset-vat');
const { initSwingStore, makeSwingStoreExporter } = await load('@agoric/swing-store');
const { kunser } = await load('@agoric/kmarshal');

const bundleSpec = name => ({ bundleSpec: path.join(bundles, `${name}.json`) });

const makeConfig = () => ({
  bootstrap: 'bootstrap',
  defaultManagerType: 'xs-worker',
  defaultReapInterval: 5,
  snapshotInitial: 3,
  snapshotInterval: 7,
  vats: {
    bootstrap: {
      sourceSpec: peerRequire.resolve('@agoric/swingset-vat/tools/bootstrap-relay.js'),
    },
    counter: { bundleName: 'counter' },
    echo: { bundleName: 'echo', creationOptions: { critical: true } },
  },
  bundles: Object.fromEntries(
    ['counter', 'echo', 'upgradable-v1', 'upgradable-v2'].map(name => [name, bundleSpec(name)]),
  ),
});

// What a kernel host does: queue one message, run, look at its result.
const makeHost = (controller, hostStorage) => {
  let policy;
  const run = async () => {
    await controller.run(policy);
    await hostStorage.commit();
  };
  const settle = async kpid => {
    await run();
    const status = controller.kpStatus(kpid);
    if (status !== 'fulfilled') {
      throw Error(`a message to a vat came out ${status}: ${JSON.stringify(controller.kpResolution(kpid))}`);
    }
    return kunser(controller.kpResolution(kpid));
  };
  return {
    run,
    // One crank of cleanup within the allowance; then all other work.
    cleanUp: async allowance => {
      const goOn = () => true;
      let left = allowance;
      policy = { vatCreated: goOn, crankComplete: goOn, crankFailed: goOn, emptyCrank: goOn, didCleanup: goOn };
      policy.allowCleanup = () => {
        const now = left;
        if (left !== true) left = false;
        return now;
      };
      await run();
    },
    ask: (vat, method, ...args) => settle(controller.queueToVatRoot(vat, method, args)),
    askRoot: (root, method, ...args) => settle(controller.queueToVatObject(root, method, args)),
  };
};

// The vats' lives: messages over several spans, an upgrade, terminations that
// the cleanup has reached to different degrees.
const live = async (controller, host) => {
  const create = (name, bundleCapName, vatParameters) =>
    host.ask('bootstrap', 'createVat', { name, bundleCapName, vatParameters }, { name });
  const account = await create('account', 'upgradable-v1', { owner: 'ann' });
  const counters = [];
  for (const name of ['doomed', 'halfway', 'gone']) counters.push(await create(name, 'counter', {}));
  for (let i = 0; i < 12; i += 1) {
    await host.ask('counter', 'increment');
    await host.ask('echo', 'echo', i, `naïve ☃ <&> ${'x'.repeat(i)}`, [1.5, null, 10n]);
    await host.askRoot(account, 'deposit', i);
    for (const root of counters) await host.askRoot(root, 'increment');
  }
  await host.ask('bootstrap', 'upgradeVat', { name: 'account', bundleCapName: 'upgradable-v2' });
  for (let i = 0; i < 3; i += 1) await host.askRoot(account, 'withdraw', 1);
};

const terminate = async (controller, host, vatIDs) => {
  const reason = { body: '#"the test wants it so"', slots: [] };
  controller.terminateVat(vatIDs.gone, reason);
  await host.cleanUp(true);
  controller.terminateVat(vatIDs.halfway, reason);
  await host.cleanUp(false);
  // Reaches the snapshots and the newest spans; older spans stay.
  for (let i = 0; i < 3; i += 1) await host.cleanUp({ default: 999, snapshots: 2, transcripts: 1 });
  controller.terminateVat(vatIDs.doomed, reason);
  await host.cleanUp(false);
};

const readExport = async dir => {
  const exporter = makeSwingStoreExporter(dir, { artifactMode: 'debug' });
  const data = {};
  for await (const [key, value] of exporter.getExportData()) data[key] = value;
  await exporter.close();
  return data;
};

const copyStore = (from, to) => {
  fs.mkdirSync(to);
  for (const file of fs.readdirSync(from)) fs.copyFileSync(path.join(from, file), path.join(to, file));
};

const makeStore = async (name, storeOptions, kernelBundles) => {
  if (only && name !== only) return;
  const dir = path.join(out, name);
  const { kernelStorage, hostStorage } = initSwingStore(dir, storeOptions);
  await initializeSwingset(makeConfig(), [], kernelStorage, { kernelBundles });
  await hostStorage.commit();
  const controller = await makeSwingsetController(kernelStorage, {}, { kernelBundle: kernelBundles.kernel });
  controller.pinVatRoot('bootstrap');
  const host = makeHost(controller, hostStorage);
  await host.run();
  await live(controller, host);
  const { kvStore } = hostStorage;
  const vatIDs = {};
  for (const id of JSON.parse(kvStore.get('vat.dynamicIDs'))) {
    vatIDs[JSON.parse(kvStore.get(`${id}.options`)).name] = id;
  }
  await terminate(controller, host, vatIDs);
  // The last commit stays in the write-ahead log until the store is closed.
  if (name === 'kept') copyStore(dir, path.join(out, 'open'));
  await controller.shutdown();
  await hostStorage.close();
  const said = { vatIDs, exportData: await readExport(dir) };
  fs.writeFileSync(path.join(out, `${name}.json`), JSON.stringify(said, undefined, 1));
};

fs.mkdirSync(out, { recursive: true });
const kernelBundles = await buildKernelBundles();
await makeStore('kept', { keepSnapshots: true, keepTranscripts: true }, kernelBundles);
await makeStore('pruned', { keepSnapshots: false, keepTranscripts: false, exportCallback: () => {} }, kernelBundles);
