// Makes vats while the benchmark runs, through the vat-admin service, and speaks to them.
import { E, Far } from '@endo/far';

export const buildRootObject = () => {
  const made = new Map();
  let service;
  return Far('bootstrap', {
    bootstrap: async (vats, devices) => {
      service = await E(vats.vatAdmin).createVatAdminService(devices.vatAdmin);
      const ring = Object.keys(vats).filter(name => name.startsWith('x-ring')).sort();
      for (const [i, name] of ring.entries()) {
        await E(vats[name]).join(vats[ring[(i + 1) % ring.length]]);
      }
    },
    create: async (bundleName, name) => {
      const bundlecap = await E(service).getNamedBundleCap(bundleName);
      const { adminNode, root } = await E(service).createVat(bundlecap, { name });
      made.set(name, { adminNode, root });
      return name;
    },
    call: (name, method, ...args) => E(made.get(name).root)[method](...args),
    upgrade: async (name, bundleName) => {
      const bundlecap = await E(service).getNamedBundleCap(bundleName);
      return E(made.get(name).adminNode).upgrade(bundlecap, {});
    },
  });
};
