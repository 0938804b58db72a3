// Gives back what it is given, at once or later, whole or broken.
import { E, Far } from '@endo/far';

export const buildRootObject = (vatPowers, vatParameters) =>
  Far('echo', {
    echo: (...args) => args,
    first: arg => arg,
    log: (...args) => vatPowers.testLog(...args),
    parameters: () => vatParameters,
    ask: (target, method, ...args) => E(target)[method](...args),
    fail: message => {
      throw Error(message);
    },
    never: () => new Promise(() => {}),
    makeObject: () => Far('thing', { hello: () => 'hello' }),
  });
