// A vat for tests of garbage collection. It makes ephemeral, virtual and
// durable objects, holds what it is given under names, lets go of it, and keeps
// things as keys of weak collections, where it only recognizes them.
import { E, Far } from '@endo/far';
import {
  defineDurableKind,
  defineKind,
  makeKindHandle,
  makeScalarBigMapStore,
  makeScalarBigWeakMapStore,
  provide,
} from '@agoric/vat-data';

export const buildRootObject = (vatPowers, _vatParameters, baggage) => {
  const behavior = { getName: ({ state }) => state.name, take: (_context, thing) => thing };
  const handle = provide(baggage, 'handle', () => makeKindHandle('durable'));
  const makeDurable = defineDurableKind(handle, name => ({ name }), behavior);
  const makeVirtual = defineKind('virtual', name => ({ name }), behavior);
  const makers = {
    ephemeral: name => Far(`ephemeral ${name}`, { getName: () => name, take: thing => thing }),
    virtual: makeVirtual,
    durable: makeDurable,
  };
  const recognized = provide(baggage, 'recognized', () => makeScalarBigWeakMapStore('recognized', { durable: true }));
  const kept = provide(baggage, 'kept', () => makeScalarBigMapStore('kept', { durable: true }));
  const held = new Map();

  return Far('root', {
    // Objects of this vat.
    make: (kind, name) => makers[kind](name),
    makeAndKeep: (kind, name) => {
      const thing = makers[kind](name);
      held.set(name, thing);
      return thing;
    },
    give: (to, kind, name) => E(to).hold(name, makers[kind](name)),
    giveKept: (to, name) => E(to).hold(name, held.get(name)),
    // Objects of others, or of this vat.
    hold: (name, thing) => {
      held.set(name, thing);
    },
    use: name => E(held.get(name)).getName(),
    drop: name => {
      held.delete(name);
    },
    useKept: name => E(kept.get(name)).getName(),
    dropKept: name => kept.delete(name),
    keepHeld: name => kept.init(name, held.get(name)),
    recognizeHeld: name => recognized.init(held.get(name), name),
    // One round of create, use and drop with another vat.
    churn: async (other, kind, n) => {
      for (let i = 0; i < n; i += 1) {
        const thing = await E(other).make(kind, `thing ${i}`);
        await E(thing).getName();
        await E(thing).take(makers[kind](`argument ${i}`));
        await E(thing).take(Promise.resolve(i));
      }
      return n;
    },
    never: () => new Promise(() => {}),
    exit: text => vatPowers.exitVat(text),
  });
};
