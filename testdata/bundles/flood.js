// A vat whose deliveries do one thing very often.
import { E, Far } from '@endo/far';

export const buildRootObject = (_vatPowers, _vatParameters, baggage) => {
  if (!baggage.has('value')) {
    baggage.init('value', '');
  }
  return Far('flood', {
    grow: size => baggage.set('value', 'x'.repeat(size)),
    read: times => {
      for (let i = 0; i < times; i += 1) {
        baggage.get('value');
      }
      return times;
    },
    send: (target, times) => {
      for (let i = 0; i < times; i += 1) {
        void E(target).ping(i);
      }
      return times;
    },
  });
};
