// Bootstrap of the tests of vat-admin: keeps what it makes, and does with it
// what it is told.
import { E, Far } from '@endo/far';

export const buildRootObject = vatPowers => {
  const { testLog } = vatPowers;
  let service;
  let device;
  let vatAdmin;
  const kept = new Map(); // name -> { root, adminNode }
  const meters = new Map();
  const pending = new Map(); // name -> promise
  const note = (what, promise) =>
    promise.then(
      value => testLog(`${what} fulfilled: ${JSON.stringify(value)}`),
      reason => testLog(`${what} rejected: ${reason instanceof Error ? reason : JSON.stringify(reason)}`),
    );
  const later = (what, promise) => {
    void note(what, promise);
  };

  return Far('bootstrap', {
    bootstrap: async (vats, devices) => {
      testLog(`vats: ${Object.keys(vats)}; devices: ${Object.keys(devices)}`);
      service = await E(vats.vatAdmin).createVatAdminService(devices.vatAdmin);
      device = devices;
      vatAdmin = vats.vatAdmin;
    },
    createByName: async (name, bundleName, options = {}) => {
      const made = await E(service).createVatByName(bundleName, { name, ...options });
      kept.set(name, made);
      return 'created';
    },
    create: async (name, bundleName, vatParameters, meterName) => {
      const bundlecap = await E(service).getNamedBundleCap(bundleName);
      const options = { name, vatParameters };
      if (meterName) {
        options.meter = meters.get(meterName);
      }
      const made = await E(service).createVat(bundlecap, options);
      kept.set(name, made);
      return 'created';
    },
    createFriend: async (name, bundleName, friend) => {
      const vatParameters = { name, friend: kept.get(friend).root };
      const made = await E(service).createVatByName(bundleName, { name, vatParameters });
      kept.set(name, made);
    },
    upgradeFriend: async (name, bundleName, friend) => {
      const bundlecap = await E(service).getNamedBundleCap(bundleName);
      return E(kept.get(name).adminNode).upgrade(bundlecap, { vatParameters: { name, friend: kept.get(friend).root } });
    },
    createCritical: async (name, bundleName) => {
      const critical = await E(vatAdmin).getCriticalVatKey();
      kept.set(name, await E(service).createVatByName(bundleName, { name, critical }));
    },
    exitWithThing: (name, isFailure) => {
      E(kept.get(name).root).exitWithThing(isFailure).catch(() => {});
    },
    createWith: (bundlecap, options) => E(service).createVat(bundlecap, options),
    bundleIDs: async name => {
      const id = await E(service).getBundleIDByName(name);
      const cap = await E(service).getBundleCap(id);
      return [id === (await E(service).getBundleIDByName(name)), cap === (await E(service).getNamedBundleCap(name))];
    },
    noBundle: name => E(service).getNamedBundleCap(name),
    waitFor: bundleID => {
      later('waitForBundleCap', E.when(E(service).waitForBundleCap(bundleID), () => 'arrived'));
    },
    call: (name, method, ...args) => E(kept.get(name).root)[method](...args),
    callLater: (name, method, ...args) => {
      later(`${name}.${method}`, E(kept.get(name).root)[method](...args));
    },
    control: (name, method, ...args) => E(kept.get(name).adminNode)[method](...args),
    done: name => {
      later(`${name} done`, E(kept.get(name).adminNode).done());
    },
    terminate: (name, reason) => E(kept.get(name).adminNode).terminateWithFailure(Error(reason)),
    upgrade: async (name, bundleName, options) => {
      const bundlecap = await E(service).getNamedBundleCap(bundleName);
      return E(kept.get(name).adminNode).upgrade(bundlecap, options);
    },
    watch: async name => {
      const notifier = await E(kept.get(name).adminNode).getStatusNotifier();
      const follow = async count => {
        const { value, updateCount } = await E(notifier).getUpdateSince(count);
        testLog(`${name} is ${value.state}, incarnation ${value.incarnationNumber}`);
        if (updateCount !== undefined) {
          void follow(updateCount);
        }
      };
      void follow(undefined);
    },
    createMeter: async (name, remaining, threshold) => {
      meters.set(name, await E(service).createMeter(remaining, threshold));
    },
    createUnlimitedMeter: async name => {
      meters.set(name, await E(service).createUnlimitedMeter());
    },
    meter: (name, method, ...args) => E(meters.get(name))[method](...args),
    watchMeter: async name => {
      const notifier = await E(meters.get(name)).getNotifier();
      const { updateCount } = await E(notifier).getUpdateSince();
      later(`meter ${name}`, E.when(E(notifier).getUpdateSince(updateCount), ({ value }) => typeof value));
    },
    hold: (name, key, method, ...args) => {
      pending.set(key, E(kept.get(name).root)[method](...args));
      later(key, pending.get(key));
    },
    callDevice: (name, method, ...args) => vatPowers.D(device[name])[method](...args),
  });
};
