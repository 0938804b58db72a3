// A bootstrap vat that makes a vat, upgrades it and reports, all in bootstrap.
import { E, Far } from '@endo/far';

export const buildRootObject = vatPowers =>
  Far('bootstrap', {
    bootstrap: async (vats, devices) => {
      const service = await E(vats.vatAdmin).createVatAdminService(devices.vatAdmin);
      const v1 = await E(service).getNamedBundleCap('v1');
      const { root, adminNode } = await E(service).createVat(v1, { name: 'account', vatParameters: { owner: 'me' } });
      await E(root).deposit(7);
      const v2 = await E(service).getNamedBundleCap('v2');
      const { incarnationNumber } = await E(adminNode).upgrade(v2);
      vatPowers.testLog(`incarnation ${incarnationNumber}`);
      return [await E(root).version(), await E(root).balance()];
    },
  });
