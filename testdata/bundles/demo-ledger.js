// The demo's ledger: purses and payments as durable objects.
import { E, Far } from '@endo/far';
import { defineDurableKind, makeKindHandle, provide } from '@agoric/vat-data';

export const buildRootObject = (_vatPowers, _vatParameters, baggage) => {
  const payments = provide(baggage, 'paymentKind', () => makeKindHandle('payment'));
  const purses = provide(baggage, 'purseKind', () => makeKindHandle('purse'));
  const makePayment = defineDurableKind(payments, amount => ({ amount }), {
    take: ({ state }) => {
      const { amount } = state;
      state.amount = 0;
      return amount;
    },
  });
  const makePurse = defineDurableKind(purses, (owner, balance) => ({ owner, balance }), {
    balance: ({ state }) => state.balance,
    withdraw: ({ state }, amount) => {
      if (amount > state.balance) {
        throw Error(`${state.owner} cannot withdraw ${amount}: the balance is ${state.balance}`);
      }
      state.balance -= amount;
      return makePayment(amount);
    },
    deposit: async ({ state }, payment) => {
      const amount = await E(payment).take();
      state.balance += amount;
      return state.balance;
    },
  });
  return Far('ledger', {
    openPurse: (owner, balance) => {
      console.log(`the ledger opens a purse for ${owner} with ${balance}`);
      return makePurse(owner, balance);
    },
  });
};
