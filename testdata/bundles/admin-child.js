// A vat that the tests of vat-admin make.
import { E, Far } from '@endo/far';

export const buildRootObject = (vatPowers, vatParameters, baggage) => {
  if (vatParameters?.failStart) {
    throw Error(vatParameters.failStart);
  }
  if (!baggage.has('count')) {
    baggage.init('count', 0);
  }
  return Far('child', {
    hello: name => `hello ${name} from ${vatParameters?.name ?? 'nobody'}`,
    count: () => {
      baggage.set('count', baggage.get('count') + 1);
      return baggage.get('count');
    },
    callParameter: method => E(vatParameters.friend)[method]('the child'),
    never: () => new Promise(() => {}),
    work: rounds => {
      let sum = 0;
      for (let i = 0; i < rounds; i += 1) {
        sum += i;
      }
      return sum;
    },
    exit: completion => {
      vatPowers.exitVat(completion);
      return 'last words';
    },
    exitWithFailure: reason => {
      vatPowers.exitVatWithFailure(Error(reason));
      return 'never heard';
    },
    exitWithThing: isFailure => {
      const info = harden({ thing: Far('thing', {}) });
      if (isFailure) {
        vatPowers.exitVatWithFailure(info);
      } else {
        vatPowers.exitVat(info);
      }
    },
    fail: () => {
      throw Error('failed as asked');
    },
  });
};
