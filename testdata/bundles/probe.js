// A vat whose methods do what the tests of the command line ask for.
import { Far } from '@endo/far';
import { E } from '@endo/eventual-send';

export const buildRootObject = (vatPowers, vatParameters, baggage) => {
  if (vatParameters?.failStart) {
    throw Error(vatParameters.failStart);
  }
  if (!baggage.has('count')) {
    baggage.init('count', 0);
  }
  let sinceStart = 0;
  return Far('root', {
    bootstrap: async vats => {
      vatPowers.testLog('bootstrap');
      const names = Object.keys(vats).filter(name => name !== 'bootstrap');
      const replies = [];
      for (const name of names) {
        replies.push(await E(vats[name]).greet(vatParameters?.greeting ?? 'hello'));
      }
      console.log('greeted', ...names);
      return replies;
    },
    greet: text => {
      vatPowers.testLog(`greeted with ${text}`);
      return `${text} from ${vatParameters?.name ?? 'nobody'}`;
    },
    // Durable and ephemeral state.
    count: () => {
      sinceStart += 1;
      baggage.set('count', baggage.get('count') + 1);
      return { durable: baggage.get('count'), sinceStart };
    },
    version: () => vatParameters?.version ?? 1,
    echo: (...args) => args,
    print: (level, ...args) => console[level](...args),
    fail: message => {
      throw Error(message);
    },
    failWith: value => Promise.reject(value),
    never: () => new Promise(() => {}),
    makeThing: () => Far('thing', { hello: () => 'hello' }),
    odd: () => [undefined, NaN, Infinity, 12n, Symbol.for('s'), Far('thing', {})],
    spin: () => {
      for (;;);
    },
    exit: text => vatPowers.exitVat(text),
  });
};
