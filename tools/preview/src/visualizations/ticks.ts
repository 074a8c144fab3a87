const MINUTE = 60_000;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10080].map((minutes) => minutes * MINUTE);

/** Round times between two times (milliseconds), at most `count`. */
export function scaleTicks(from: number, to: number, count: number): number[] {
  const step = STEPS.find((each) => (to - from) / each <= count) ?? STEPS[STEPS.length - 1];
  // Days begin at midnight in the browser's time zone.
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((from - offset) / step) * step + offset;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, index) => first + index * step);
}
