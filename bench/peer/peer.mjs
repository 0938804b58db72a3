// peer.mjs: runs the JavaScript system for the benchmark.
//
//   node peer.mjs PEER CACHE
//
// PEER is where `make peer` has installed the packages, CACHE a directory for
// the bundles of the kernel, which are made once. Requests come as lines of JSON
// on descriptor 3, replies go as lines to descriptor 4: workers inherit stdout.
// All times are taken in this process and given in microseconds.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [peer, cache] = process.argv.slice(2, 4).map(arg => path.resolve(arg));
if (!cache) throw Error('usage: peer.mjs PEER CACHE');
const peerRequire = createRequire(path.join(peer, 'package.json'));
const load = name => import(pathToFileURL(peerRequire.resolve(name)).href);

await load('@endo/init/pre-bundle-source.js');
await load('@endo/init');
const swingset = await load('@agoric/swingset-vat');
const { initSwingStore, openSwingStore } = await load('@agoric/swing-store');
const { kunser } = await load('@agoric/kmarshal');

const micros = since => Number(process.hrtime.bigint() - since) / 1000;

// timed runs f and tells how long it took.
const timed = async f => {
  const began = process.hrtime.bigint();
  const value = await f();
  return { value, micros: micros(began) };
};

const kernelBundles = async () => {
  const { version } = peerRequire('@agoric/swingset-vat/package.json');
  const file = path.join(cache, `kernel-bundles-${version}.json`);
  if (!fs.existsSync(file)) {
    fs.mkdirSync(cache, { recursive: true });
    const made = await swingset.buildKernelBundles();
    fs.writeFileSync(`${file}.new.${process.pid}`, JSON.stringify(made));
    fs.renameSync(`${file}.new.${process.pid}`, file);
  }
  return harden(JSON.parse(fs.readFileSync(file, 'utf8')));
};

// One system at a time is open.
let system;

const mustBeOpen = () => system || assert.fail('no store is open');

// policyOf counts what a run does; it never ends one.
const policyOf = counts => {
  const goOn = ({ computrons } = {}) => {
    counts.cranks += 1;
    counts.computrons += computrons ?? 0n;
    return true;
  };
  return harden({
    vatCreated: goOn,
    crankComplete: goOn,
    crankFailed: goOn,
    emptyCrank: () => true,
    didCleanup: () => true,
    allowCleanup: () => true,
  });
};

const runBlock = async () => {
  const { controller, hostStorage } = mustBeOpen();
  const counts = { cranks: 0, computrons: 0n };
  await controller.run(policyOf(counts));
  await hostStorage.commit();
  return { cranks: counts.cranks, computrons: Number(counts.computrons) };
};

// plain gives the JSON of a message's result, or the state of its promise.
const plain = kpid => {
  const { controller } = mustBeOpen();
  const status = controller.kpStatus(kpid);
  if (status !== 'fulfilled') return status;
  return JSON.stringify(kunser(controller.kpResolution(kpid)) ?? null);
};

const initialize = async (store, config, bundles) => {
  const built = { kernelBundles: bundles, addComms: false, addVattp: false, addTimer: false };
  await swingset.initializeSwingset(config, [], store.kernelStorage, built);
  await store.hostStorage.commit();
};

const toRoot = ([vat, method, args]) => mustBeOpen().controller.queueToVatRoot(vat, method, args);

const rawWorkers = async () => {
  const startXSnap = await load('@agoric/swingset-vat/src/controller/startXSnap.js');
  const handlers = await load('@agoric/swingset-vat/src/controller/bundle-handler.js');
  const { spawn } = await import('node:child_process');
  const { tmpName } = peerRequire('tmp');
  const { kernelStorage } = initSwingStore();
  const bundleHandler = handlers.makeWorkerBundleHandler(kernelStorage.bundleStore, handlers.makeXsnapBundleData());
  const bundleIDs = await bundleHandler.getCurrentBundleIDs();
  const start = startXSnap.makeStartXSnap({ bundleHandler, spawn, fs, tmpName });
  return handleCommand => start('bench', { bundleIDs, vatID: 'v1', metered: true, handleCommand });
};

const verbs = {
  // open makes or opens the store in dir, with its controller.
  open: async ({ dir, config, maxOnline }) => {
    const bundles = await kernelBundles();
    const isNew = !fs.existsSync(path.join(dir, 'swingstore.sqlite'));
    const { value, micros: took } = await timed(async () => {
      const store = isNew ? initSwingStore(dir) : openSwingStore(dir);
      if (isNew) await initialize(store, await swingset.loadSwingsetConfigFile(config), bundles);
      const runtime = { kernelBundle: bundles.kernel, warehousePolicy: { maxVatsOnline: maxOnline } };
      const controller = await swingset.makeSwingsetController(store.kernelStorage, {}, runtime);
      return { ...store, controller };
    });
    system = value;
    let ran = { cranks: 0, computrons: 0 };
    if (isNew) {
      const names = Object.keys(JSON.parse(fs.readFileSync(config, 'utf8')).vats);
      for (const name of names) system.controller.pinVatRoot(name);
      ran = await runBlock();
    }
    return { micros: took, ...ran };
  },

  // run queues messages to root objects, runs until idle and commits one block.
  run: async ({ messages }) => {
    const { value, micros: took } = await timed(async () => {
      const kpids = messages.map(toRoot);
      return { kpids, ran: await runBlock() };
    });
    const results = value.kpids.map(plain);
    return { micros: took, results, ...value.ran };
  },

  // snapshots takes one of every vat with a delivery since its last, and commits.
  snapshots: async () => {
    const { controller, hostStorage } = mustBeOpen();
    const { micros: took } = await timed(async () => {
      await controller.snapshotAllVats();
      await hostStorage.commit();
    });
    return { micros: took };
  },

  // vat tells how far a static vat has come.
  vat: async ({ name }) => {
    const { controller, kernelStorage } = mustBeOpen();
    const vatID = controller.vatNameToID(name);
    const { endPos, hash } = kernelStorage.transcriptStore.getCurrentSpanBounds(vatID);
    const snapshot = kernelStorage.snapStore.getSnapshotInfo(vatID);
    return { position: endPos, spanHash: hash, snapshotHash: snapshot?.hash ?? '' };
  },

  // transcript gives the items of a vat's current span.
  transcript: async ({ name }) => {
    const { controller, kernelStorage } = mustBeOpen();
    const items = [...kernelStorage.transcriptStore.readSpan(controller.vatNameToID(name))];
    return { items };
  },

  // heap writes the heap of a vat's newest snapshot to a file.
  heap: async ({ name, file }) => {
    const { controller, kernelStorage } = mustBeOpen();
    const out = fs.openSync(file, 'w', 0o600);
    for await (const chunk of kernelStorage.snapStore.loadSnapshot(controller.vatNameToID(name))) fs.writeSync(out, chunk);
    fs.closeSync(out);
    return {};
  },

  // stored tells what lies in the store's tables for a vat, in bytes.
  stored: async ({ name, dir }) => {
    const vatID = mustBeOpen().controller.vatNameToID(name);
    const sqlite3 = peerRequire('better-sqlite3');
    const db = sqlite3(path.join(dir, 'swingstore.sqlite'), { readonly: true });
    const snapshot = db
      .prepare('SELECT compressedSize AS stored, uncompressedSize AS size FROM snapshots WHERE vatID = ? AND inUse = 1')
      .get(vatID);
    db.close();
    return { snapshotStored: snapshot?.stored ?? 0, snapshotSize: snapshot?.size ?? 0 };
  },

  close: async () => {
    const { controller, hostStorage } = mustBeOpen();
    await controller.shutdown();
    await hostStorage.close();
    system = undefined;
    return {};
  },

  // fresh starts workers until they would take setBundle.
  fresh: async ({ count }) => {
    const start = await rawWorkers();
    const each = [];
    for (let i = 0; i < count; i += 1) {
      const { value: worker, micros: took } = await timed(() => start(async () => new Uint8Array()));
      each.push(took);
      await worker.close();
    }
    return { each };
  },

  // first opens a store as open does, sends one message, and tells its result.
  first: async ({ message, ...where }) => {
    await verbs.open(where);
    return verbs.run({ messages: [message] });
  },

  // roundTrips lets a worker call back count times in one command.
  roundTrips: async ({ code, count }) => {
    const answer = new TextEncoder().encode('["ok",null]');
    const worker = await (await rawWorkers())(async () => answer);
    await worker.evaluate(code);
    const { micros: took } = await timed(() => worker.issueStringCommand(JSON.stringify(['deliver', count])));
    await worker.close();
    return { micros: took };
  },
};

const reply = value => fs.writeSync(4, `${JSON.stringify(value)}\n`);

const serve = async line => {
  const { verb, ...args } = JSON.parse(line);
  await null;
  try {
    reply(await verbs[verb](args));
  } catch (err) {
    reply({ error: `${err}` });
  }
};

reply({ ready: true });
for await (const line of createInterface({ input: fs.createReadStream('', { fd: 3 }) })) {
  await serve(line);
}
process.exit(0);
