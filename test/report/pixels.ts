/**
 * Pixels of a chart's canvas whose color is near the CSS color of that name, as an expression for the browser.
 * @param distance how far each channel may be from it, less than this
 */
export const pixelsLike = (id: string, color: string, distance = 12): string => `(() => {
  const css = getComputedStyle(document.documentElement).getPropertyValue('--${color}').trim();
  const wanted = [1, 3, 5].map((at) => Number.parseInt(css.slice(at, at + 2), 16));
  const canvas = document.querySelector('#${id} canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 100 && wanted.every((value, i) => Math.abs(data[at + i] - value) < ${distance})) count++;
  }
  return count;
})()`;
