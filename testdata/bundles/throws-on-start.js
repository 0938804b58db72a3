// A vat that cannot be started.
export const buildRootObject = () => {
  throw Error('this vat does not want to start');
};
