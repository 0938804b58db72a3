// A bootstrap vat that uses devices: directly, and by what they send it.
import { E, Far } from '@endo/far';

export const buildRootObject = vatPowers => {
  const { D, testLog } = vatPowers;
  let devices;
  const listener = Far('listener', { tell: (...args) => testLog(`told ${args.join(' ')}`) });
  const nodes = new Map();
  return Far('bootstrap', {
    bootstrap: (_vats, theDevices) => {
      devices = theDevices;
      testLog(`devices: ${Object.keys(devices)}`);
    },
    call: (name, method, ...args) => D(devices[name])[method](...args),
    // The delivery is undone: a convention of this kernel's, see docs/kernelhost.md.
    callInVain: (name, method, ...args) => {
      D(devices[name])[method](...args);
      vatPowers.exitVatWithFailure(harden({ suspend: 'in vain' }));
    },
    listen: name => {
      void E(listener).tell('before');
      D(devices[name]).listen(listener);
    },
    makeNode: name => {
      nodes.set(name, D(devices[name]).makeNode());
      return D(nodes.get(name)).whoAreYou();
    },
    passNode: (name, other) => D(devices[other]).listen(nodes.get(name)),
    withPromise: name => D(devices[name]).listen(Promise.resolve()),
  });
};
