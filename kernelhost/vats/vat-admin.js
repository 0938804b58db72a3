// The vat-admin vat: objects for making and controlling vats, and for metering
// them. It alone has the vatAdmin device; whoever holds a vat's adminNode, and
// nobody else, has the controls of that vat.
//
// What userspace may keep is durable, so that it outlives restart-all and an
// upgrade of this vat. What waits for an answer of the kernel does not: its
// promises are disconnected then, as those of every vat that is upgraded.
import { E, Far } from '@endo/far';

// Liveslots gives these to every vat; importing them from @agoric/vat-data would
// bring in a library of patterns that is not needed here.
const { VatData } = globalThis;

const managerTypes = harden(['xsnap', 'xs-worker', 'local', 'node-subprocess']);
const nameShape = /^[A-Za-z0-9._-]{1,199}$/;

const insist = (condition, problem) => {
  if (!condition) {
    throw Error(problem);
  }
};

const isNat = n =>
  typeof n === 'bigint' ? n >= 0n : Number.isSafeInteger(n) && n >= 0;

const asNat = (n, what) => {
  insist(isNat(n), `${what} must be a natural number, not ${String(n)}`);
  return BigInt(n);
};

const makeKit = () => {
  const kit = {};
  kit.promise = new Promise((resolve, reject) => {
    Object.assign(kit, { resolve, reject });
  });
  kit.promise.catch(() => {}); // nobody has to listen
  return kit;
};

export const buildRootObject = (vatPowers, _vatParameters, baggage) => {
  const { D } = vatPowers;

  const provide = (key, make) => {
    if (!baggage.has(key)) {
      baggage.init(key, make());
    }
    return baggage.get(key);
  };
  const defineKind = (tag, init, behavior) =>
    VatData.defineDurableKind(
      provide(`kind of ${tag}`, () => VatData.makeKindHandle(tag)),
      init,
      behavior,
    );
  const provideMap = name =>
    provide(name, () => VatData.makeScalarBigMapStore(name, { durable: true }));

  const liveVats = provideMap('liveVats'); // vatID -> true
  // What a notifier shows, by its subject: a vatID or a meterID.
  const shown = provideMap('shown'); // subject -> { value, updateCount }
  const meterIDs = provide('meterIDs', () =>
    VatData.makeScalarBigWeakMapStore('meterIDs', { durable: true }),
  );

  // Ephemeral: what waits for the kernel.
  const creations = new Map(); // vatID -> kit
  const endings = new Map(); // vatID -> kit of done()
  const requests = new Map(); // requestID -> kit
  const arrivals = new Map(); // bundleID -> kit
  const updates = new Map(); // subject -> kit of the next update
  const exiting = new Set(); // vatIDs

  let device = baggage.has('device') ? baggage.get('device') : undefined;
  const ask = () => {
    insist(device, 'vatAdmin device not configured');
    return D(device);
  };

  const kitIn = (map, key) => {
    if (!map.has(key)) {
      map.set(key, makeKit());
    }
    return map.get(key);
  };
  const take = (map, key) => {
    const kit = map.get(key);
    map.delete(key);
    return kit;
  };

  // Notifiers answer as those of @agoric/notifier: at once to whoever does not
  // have the newest update, else when there is a newer one. The last has no
  // updateCount.
  const show = (subject, value, isLast = false) => {
    const { updateCount } = shown.get(subject);
    const next = harden({
      value,
      updateCount: isLast ? undefined : updateCount + 1n,
    });
    shown.set(subject, next);
    take(updates, subject)?.resolve(next);
  };
  const makeNotifier = defineKind('notifier', subject => ({ subject }), {
    getUpdateSince: ({ state: { subject } }, known = undefined) => {
      const newest = shown.get(subject);
      if (newest.updateCount === undefined || newest.updateCount !== known) {
        return newest;
      }
      return kitIn(updates, subject).promise;
    },
  });

  const makeMeter = defineKind(
    'meter',
    meterID => ({ meterID, notifier: undefined }),
    {
      addRemaining: ({ state: { meterID } }, delta) => {
        ask().addMeterRemaining(meterID, asNat(delta, 'delta'));
      },
      setThreshold: ({ state: { meterID } }, threshold) => {
        ask().setMeterThreshold(meterID, asNat(threshold, 'threshold'));
      },
      get: ({ state: { meterID } }) => ask().getMeter(meterID),
      // Tells what remains whenever that falls below the threshold.
      getNotifier: ({ state }) => {
        if (!state.notifier) {
          const { remaining } = ask().getMeter(state.meterID);
          shown.init(state.meterID, harden({ value: remaining, updateCount: 1n }));
          state.notifier = makeNotifier(state.meterID);
        }
        return state.notifier;
      },
    },
  );
  const registerMeter = meterID => {
    const meter = makeMeter(meterID);
    meterIDs.init(meter, meterID);
    return meter;
  };

  const insistLive = (vatID, operation, exitingToo = false) =>
    insist(
      liveVats.has(vatID) && (exitingToo || !exiting.has(vatID)),
      `vatAdminService rejecting attempt to perform "${operation}"() on non-running vat "${vatID}"`,
    );

  const bundleIDOf = (bundlecap, operation) => {
    try {
      return D(bundlecap).getBundleID();
    } catch (err) {
      throw Error(`${operation} requires a bundlecap`);
    }
  };

  // Waits for the kernel's answer to a request.
  const answerOf = requestID => kitIn(requests, requestID).promise;

  const makeAdminNode = defineKind(
    'adminNode',
    vatID => ({ vatID, notifier: undefined }),
    {
      terminateWithFailure: ({ state: { vatID } }, reason) => {
        insistLive(vatID, 'terminateWithFailure');
        ask().terminateWithFailure(vatID, reason);
        exiting.add(vatID);
      },
      done: ({ state: { vatID } }) => {
        insistLive(vatID, 'done', true);
        return kitIn(endings, vatID).promise;
      },
      upgrade: ({ state: { vatID } }, bundlecap, options = {}) => {
        insistLive(vatID, 'upgrade');
        const bundleID = bundleIDOf(bundlecap, 'vatAdmin.upgrade()');
        const {
          vatParameters,
          upgradeMessage = 'vat upgraded',
          ...rest
        } = options;
        const unknown = Object.keys(rest).join(',');
        insist(!unknown, `upgrade() received unknown options: "${unknown}"`);
        insist(
          typeof upgradeMessage === 'string',
          'upgradeMessage not a string',
        );
        return answerOf(
          ask().upgradeVat(vatID, bundleID, vatParameters, upgradeMessage),
        );
      },
      changeOptions: ({ state: { vatID } }, options) => {
        insistLive(vatID, 'changeOptions');
        for (const name of Object.getOwnPropertyNames(options)) {
          insist(name === 'reapInterval', `invalid option "${name}"`);
          const value = options[name];
          insist(
            value === 'never' || isNat(value),
            'invalid reapInterval value',
          );
        }
        ask().changeOptions(vatID, options);
      },

      // Deliveries wait until resume().
      pause: ({ state: { vatID } }, reason = 'paused by its adminNode') => {
        insistLive(vatID, 'pause');
        ask().pauseVat(vatID, reason);
      },
      resume: ({ state: { vatID } }, reason = 'resumed by its adminNode') => {
        insistLive(vatID, 'resume');
        ask().resumeVat(vatID, reason);
      },
      // Ends the incarnation; the next delivery starts another.
      suspend: ({ state: { vatID } }, reason = 'suspended by its adminNode') => {
        insistLive(vatID, 'suspend');
        return answerOf(ask().suspendVat(vatID, reason));
      },
      // The same, but only unsuspend() or upgrade() start another.
      suspendDeliberately: (
        { state: { vatID } },
        reason = 'suspended by its adminNode',
      ) => {
        insistLive(vatID, 'suspendDeliberately');
        return answerOf(ask().suspendDeliberately(vatID, reason));
      },
      unsuspend: (
        { state: { vatID } },
        reason = 'unsuspended by its adminNode',
      ) => {
        insistLive(vatID, 'unsuspend');
        return answerOf(ask().unsuspendVat(vatID, reason));
      },
      getStatus: ({ state: { vatID } }) => {
        insistLive(vatID, 'getStatus', true);
        return ask().getVatState(vatID);
      },
      // Tells the status whenever the vat's state or incarnation changes.
      getStatusNotifier: ({ state }) => {
        if (!state.notifier) {
          insistLive(state.vatID, 'getStatusNotifier', true);
          const value = ask().watchVatState(state.vatID);
          shown.init(state.vatID, harden({ value, updateCount: 1n }));
          state.notifier = makeNotifier(state.vatID);
        }
        return state.notifier;
      },
    },
  );

  const makeKey = defineKind('criticalVatKey', () => ({}), {});
  const criticalVatKey = provide('criticalVatKey', () => makeKey());

  const checkType = (options, name, type) =>
    insist(
      options[name] === undefined || typeof options[name] === type,
      `CreateVatOptions(${name})`,
    );

  // What userspace says about a new vat, as the device takes it.
  const convertOptions = options => {
    const {
      name,
      meter,
      managerType,
      nodeOptions,
      vatParameters,
      enableSetup,
      enablePipelining,
      useTranscript,
      reapInterval,
      critical,
      fatalPolicy,
      ...rest
    } = options;
    checkType(options, 'name', 'string');
    insist(
      name === undefined || nameShape.test(name),
      `CreateVatOptions: bad vat name "${name}"`,
    );
    checkType(options, 'managerType', 'string');
    insist(
      !managerType || managerTypes.includes(managerType),
      `CreateVatOptions: bad managerType ${managerType}`,
    );
    insist(
      !nodeOptions,
      "CreateVatOptions: nodeOptions requires managerType='node-subprocess'",
    );
    for (const flag of ['enableSetup', 'enablePipelining', 'useTranscript']) {
      checkType(options, flag, 'boolean');
    }
    insist(
      reapInterval === undefined || reapInterval === 'never' || isNat(reapInterval),
      'CreateVatOptions(reapInterval)',
    );
    checkType(options, 'fatalPolicy', 'string');
    const unknown = Object.keys(rest).join(',');
    insist(!unknown, `CreateVatOptions: unknown options "${unknown}"`);
    insist(!meter || meterIDs.has(meter), 'CreateVatOptions(meter)');
    insist(!critical || critical === criticalVatKey, 'invalid criticalVatKey');
    return harden({
      name,
      meterID: meter ? meterIDs.get(meter) : undefined,
      vatParameters,
      enablePipelining,
      reapInterval,
      critical: !!critical,
      fatalPolicy,
    });
  };

  const create = (bundleID, options) => {
    const vatID = ask().createByBundleID(bundleID, options);
    liveVats.init(vatID, true);
    const adminNode = makeAdminNode(vatID);
    return E.when(kitIn(creations, vatID).promise, root =>
      harden({ root, adminNode }),
    );
  };

  const makeService = defineKind('vatAdminService', () => ({}), {
    getBundleCap: (_context, bundleID) => {
      const bundlecap = ask().getBundleCap(bundleID);
      insist(bundlecap, `bundleID not yet installed: ${bundleID}`);
      return bundlecap;
    },
    waitForBundleCap: (_context, bundleID) =>
      ask().getBundleCap(bundleID) || kitIn(arrivals, bundleID).promise,
    getNamedBundleCap: (_context, name) => ask().getNamedBundleCap(name),
    getBundleIDByName: (_context, name) => ask().getBundleIDByName(name),
    createMeter: (_context, remaining, threshold) =>
      registerMeter(
        ask().createMeter(
          asNat(remaining, 'remaining'),
          asNat(threshold, 'threshold'),
        ),
      ),
    createUnlimitedMeter: _context =>
      registerMeter(ask().createUnlimitedMeter()),
    createVat: (_context, bundlecap, options = {}) => {
      const converted = convertOptions(options);
      const bundleID = bundleIDOf(
        bundlecap,
        'Vat Creation Error: createVat()',
      );
      return create(bundleID, converted);
    },
    createVatByName: (_context, name, options = {}) => {
      insist(
        typeof name === 'string',
        'createVatByName() requires bundleName to be a string',
      );
      const converted = convertOptions(options);
      const bundlecap = ask().getNamedBundleCap(name);
      return create(bundleIDOf(bundlecap, 'createVatByName()'), converted);
    },
  });
  const service = provide('vatAdminService', () => makeService());

  const settle = (kit, success, value) =>
    success ? kit?.resolve(value) : kit?.reject(value);

  return Far('root', {
    createVatAdminService: vatAdminDevice => {
      device = vatAdminDevice;
      if (baggage.has('device')) {
        baggage.set('device', device);
      } else {
        baggage.init('device', device);
      }
      return service;
    },
    getCriticalVatKey: () => criticalVatKey,

    // The rest are messages of the kernel.
    bundleInstalled: bundleID => {
      const kit = device && take(arrivals, bundleID);
      kit?.resolve(D(device).getBundleCap(bundleID));
    },
    newVatCallback: (vatID, { rootObject }) =>
      take(creations, vatID)?.resolve(rootObject),
    vatUpgradeCallback: (requestID, success, error, incarnationNumber) =>
      settle(
        take(requests, requestID),
        success,
        success ? harden({ incarnationNumber }) : error,
      ),
    vatControlCallback: (requestID, success, value) =>
      settle(take(requests, requestID), success, success ? undefined : value),
    vatStateChanged: (vatID, status) =>
      show(vatID, status, status.state === 'terminated'),
    meterCrossedThreshold: (meterID, remaining) => {
      if (shown.has(meterID)) {
        show(meterID, remaining);
      }
    },
    // Of every vat that ends, and of one that could not start.
    vatTerminated: (vatID, shouldReject, info) => {
      take(creations, vatID)?.reject(Error(`Vat Creation Error: ${info}`));
      if (!liveVats.has(vatID)) {
        return; // none of ours
      }
      liveVats.delete(vatID);
      exiting.delete(vatID);
      settle(take(endings, vatID), !shouldReject, info);
    },
  });
};
