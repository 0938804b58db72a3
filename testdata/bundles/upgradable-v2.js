// Second version of upgradable-v1: the same durable kind with one more method.
import { Far } from '@endo/far';
import { defineDurableKind, makeKindHandle, provide } from '@agoric/vat-data';

const provideAccounts = baggage => {
  const handle = provide(baggage, 'accountHandle', () => makeKindHandle('account'));
  return defineDurableKind(handle, owner => ({ owner, balance: 0 }), {
    deposit: ({ state }, amount) => {
      state.balance += amount;
      return state.balance;
    },
    withdraw: ({ state }, amount) => {
      if (amount > state.balance) {
        throw Error(`cannot withdraw ${amount}: the balance is ${state.balance}`);
      }
      state.balance -= amount;
      return state.balance;
    },
    balance: ({ state }) => state.balance,
    owner: ({ state }) => state.owner,
  });
};

export const buildRootObject = (_vatPowers, vatParameters, baggage) => {
  const makeAccount = provideAccounts(baggage);
  const account = provide(baggage, 'account', () => makeAccount(vatParameters?.owner ?? 'nobody'));
  let note = '';
  return Far('root', {
    version: () => 'v2',
    parameters: () => vatParameters,
    getAccount: () => account,
    deposit: amount => account.deposit(amount),
    withdraw: amount => account.withdraw(amount),
    balance: () => account.balance(),
    setNote: text => {
      note = text;
    },
    getNote: () => note,
  });
};
