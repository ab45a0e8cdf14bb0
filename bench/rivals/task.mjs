/** The task of piscina and tinypool. */
export default function square(x) {
  return x * x;
}
