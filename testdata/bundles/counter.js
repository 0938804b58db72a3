// The smallest vat with both kinds of state: a durable count and one that an
// incarnation forgets.
import { Far } from '@endo/far';

export const buildRootObject = (_vatPowers, _vatParameters, baggage) => {
  if (!baggage.has('count')) {
    baggage.init('count', 0);
  }
  let sinceStart = 0;
  return Far('counter', {
    increment: () => {
      sinceStart += 1;
      baggage.set('count', baggage.get('count') + 1);
      return baggage.get('count');
    },
    read: () => baggage.get('count'),
    sinceStart: () => sinceStart,
  });
};
