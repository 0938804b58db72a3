// A vat that ends itself, happily or not.
import { Far } from '@endo/far';

export const buildRootObject = vatPowers =>
  Far('exiter', {
    hello: () => 'hello',
    exit: completion => {
      vatPowers.exitVat(completion);
      return 'last words';
    },
    exitWithFailure: message => {
      vatPowers.exitVatWithFailure(Error(message));
      return 'never heard';
    },
    suspendWithFailure: reason => {
      vatPowers.exitVatWithFailure(harden({ suspend: reason }));
      return 'never heard';
    },
  });
