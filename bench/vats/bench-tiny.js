// The smallest vat there can be: it imports nothing, not even Far.
const far = (name, methods) => {
  const proto = Object.create(Object.prototype, {
    [Symbol.for('passStyle')]: { value: 'remotable' },
    [Symbol.toStringTag]: { value: `Alleged: ${name}` },
  });
  return harden(Object.setPrototypeOf(methods, harden(proto)));
};

export const buildRootObject = () => {
  let count = 0;
  return far('tiny', {
    idle: () => 0,
    increment: () => {
      count += 1;
      return count;
    },
  });
};
