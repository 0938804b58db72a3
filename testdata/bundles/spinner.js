// A vat that misbehaves on request: each way a delivery can go over a limit.
import { Far } from '@endo/far';

export const buildRootObject = (_vatPowers, _vatParameters, baggage) => {
  if (!baggage.has('calls')) {
    baggage.init('calls', 0);
  }
  const recurse = n => 1 + recurse(n + 1);
  const hoard = [];
  return Far('spinner', {
    ok: () => {
      baggage.set('calls', baggage.get('calls') + 1);
      return baggage.get('calls');
    },
    spin: () => {
      for (;;);
    },
    work: rounds => {
      let sum = 0;
      for (let i = 0; i < rounds; i += 1) {
        sum += i;
      }
      return sum;
    },
    recurse: () => recurse(0),
    hog: () => {
      for (;;) {
        hoard.push(new ArrayBuffer(64 * 1024 * 1024));
      }
    },
    fail: () => {
      throw Error('failed as asked');
    },
    never: () => new Promise(() => {}),
  });
};
