// Alice and bob of the demo: each has a purse and trades with the other.
import { E, Far } from '@endo/far';

export const buildRootObject = (_vatPowers, { name }, baggage) => {
  if (!baggage.has('sales')) {
    baggage.init('sales', 0);
  }
  let lastPrice = 0;
  const trader = Far(name, {
    // What baggage keeps must be durable: the purse itself, not a promise for it.
    setPurse: async purse => baggage.init('purse', await purse),
    getPurse: () => baggage.get('purse'),
    priceIs: price => {
      lastPrice = price;
      console.log(`${name} hears that the price is ${price}`);
    },
    sell: async payment => {
      baggage.set('sales', baggage.get('sales') + 1);
      return E(baggage.get('purse')).deposit(payment);
    },
    buyFrom: async (seller, price) => {
      const payment = E(baggage.get('purse')).withdraw(price);
      await E(seller).sell(payment);
      console.log(`${name} bought for ${price}`);
      return price;
    },
    balance: () => E(baggage.get('purse')).balance(),
    report: () => harden({ name, sales: baggage.get('sales'), lastPrice }),
  });
  return trader;
};
