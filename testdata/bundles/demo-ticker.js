// The demo's price ticker: tells its listeners a new price each time it is asked.
import { E, Far } from '@endo/far';

export const buildRootObject = (_vatPowers, _vatParameters, baggage) => {
  if (!baggage.has('price')) {
    baggage.init('price', 5);
    baggage.init('listeners', harden([]));
  }
  return Far('ticker', {
    addListener: listener => baggage.set('listeners', harden([...baggage.get('listeners'), listener])),
    tick: () => {
      const price = (baggage.get('price') * 7 + 3) % 23;
      baggage.set('price', price);
      for (const listener of baggage.get('listeners')) {
        void E(listener).priceIs(price);
      }
      return price;
    },
  });
};
