// First version of a vat that is upgraded: a durable kind, kept in baggage, and
// an ephemeral note that no incarnation passes on.
import { Far } from '@endo/far';
import { defineDurableKind, makeKindHandle, provide } from '@agoric/vat-data';

const provideAccounts = baggage => {
  const handle = provide(baggage, 'accountHandle', () => makeKindHandle('account'));
  return defineDurableKind(handle, owner => ({ owner, balance: 0 }), {
    deposit: ({ state }, amount) => {
      state.balance += amount;
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
    version: () => 'v1',
    parameters: () => vatParameters,
    getAccount: () => account,
    deposit: amount => account.deposit(amount),
    balance: () => account.balance(),
    setNote: text => {
      note = text;
    },
    getNote: () => note,
  });
};
