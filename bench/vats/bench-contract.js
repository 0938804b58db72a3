// A vat of a contract's size and habits: durable kinds, a durable store, and
// messages whose number of syscalls the caller chooses.
import { E, Far } from '@endo/far';
import { M, defineDurableKind, makeKindHandle, makeScalarBigMapStore, provide } from '@agoric/vat-data';

export const buildRootObject = (_vatPowers, _vatParameters, baggage) => {
  const handle = provide(baggage, 'accountKind', () => makeKindHandle('account'));
  const makeAccount = defineDurableKind(handle, owner => ({ owner, balance: 0n }), {
    deposit: ({ state }, amount) => {
      state.balance += amount;
      return state.balance;
    },
  });
  const account = provide(baggage, 'account', () => makeAccount('bench'));
  const keys = [...Array(16).keys()].map(i => `key ${i}`);
  const store = provide(baggage, 'store', () => {
    const made = makeScalarBigMapStore('store', { durable: true, keyShape: M.string() });
    for (const key of keys) made.init(key, 0);
    return made;
  });
  let next;
  let deliveries = 0;
  return Far('contract', {
    idle: () => 0,
    // A turn makes three syscalls, a look one; with any of them the store asks
    // for its own description first, and the result is one more.
    touch: (turns, looks = 0) => {
      for (let i = 0; i < turns; i += 1) {
        const key = keys[i % keys.length];
        store.set(key, store.get(key) + 1);
      }
      for (let i = 0; i < looks; i += 1) store.has(keys[i]);
      deliveries += 1;
      return deliveries;
    },
    deposit: amount => `${account.deposit(BigInt(amount))}`,
    join: other => {
      next = other;
    },
    pass: async hops => {
      deliveries += 1;
      store.has(keys[0]);
      if (hops === 0) return 0;
      return 1 + (await E(next).pass(hops - 1));
    },
  });
};
