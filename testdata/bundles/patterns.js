// Vats A, B and C that send each other messages in the ways there are: A is the
// bootstrap vat and conducts, each logs under its own name.
import { E, Far } from '@endo/far';

export const buildRootObject = (vatPowers, { name }) => {
  const log = text => vatPowers.testLog(`${name}: ${text}`);
  let peers;
  const makeObject = label =>
    Far('object', {
      label: () => label,
      log: text => log(`${label} ${text}`),
      echo: value => value,
      makePromise: () => {
        let resolve;
        const promise = new Promise(r => {
          resolve = r;
        });
        return harden({ promise, resolver: Far('resolver', { resolve: value => resolve(value) }) });
      },
    });
  return Far('root', {
    bootstrap: vats => {
      peers = vats;
      return Promise.all([E(vats.b).meet(vats.c), E(vats.c).meet(vats.b)]);
    },
    meet: peer => {
      peers = { peer };
      return `${name} ready`;
    },
    make: label => makeObject(label),
    // A tells B to send to an object of C.
    sendTo: (target, text) => E(target).log(text),
    echo: value => value,
    // B asks C for an object and gives A the promise for it.
    relay: label => E(peers.peer).make(label),
    forever: () => new Promise(() => {}),
    fail: text => {
      throw Error(text);
    },
    // The patterns, in A.
    thirdParty: async () => {
      const target = await E(peers.c).make('target');
      await E(peers.b).sendTo(target, 'by way of b');
      return (await E(peers.b).echo(target)) === target;
    },
    pipelined: async () => {
      // All is sent before anything is answered.
      const object = E(peers.b).relay('far away');
      const label = E(object).label();
      const logged = E(object).log('pipelined');
      const echoed = E(E(object).echo(object)).label();
      return [await label, await logged, await echoed];
    },
    promiseArgument: async () => {
      const kit = E(peers.c).make('kit');
      const { promise, resolver } = await E(kit).makePromise();
      const later = E(peers.b).echo(promise);
      await E(resolver).resolve('a value');
      return later;
    },
    promiseChain: async () => {
      // A promise of C's, resolved to an object of B's, by way of A.
      const { promise, resolver } = await E(E(peers.c).make('chain')).makePromise();
      const label = E(promise).label();
      await E(resolver).resolve(E(peers.b).make('end of the chain'));
      return label;
    },
    broken: () => E(E(peers.b).fail('broken')).label(),
    toData: () => E(E(peers.b).echo(7)).label(),
    identity: async () => {
      const mine = makeObject('mine');
      return (await E(peers.b).echo(mine)) === mine && (await E(peers.c).echo(mine)) === mine;
    },
  });
};
