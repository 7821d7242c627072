import { DefaultReporter, type TestCase, type TestModule, type TestSuite } from 'vitest/node';

/**
 * One line per test file, failures in full, the reason of every skipped test, and as the last line the numbers alone:
 * `N passed, N failed` or `N passed, N failed, N skipped`.
 *
 * The run fails if no test ran. With `CI=true` it also fails if one was skipped: what must run there has to run.
 */
export default class Reporter extends DefaultReporter {
  constructor() {
    super({ summary: false });
  }

  /** Failures are shown in full at the end; slow tests are no news. */
  protected override printTestCase(): void {}

  /** Replaced by the lines below. */
  override reportTestSummary(): void {}

  override onTestRunEnd(...run: Parameters<DefaultReporter['onTestRunEnd']>): void {
    super.onTestRunEnd(...run);
    const [modules, errors] = run;
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const skipped = tests.filter((test) => test.result().state === 'skipped').filter(this.#wasWanted);
    const passed = tests.filter((test) => test.result().state === 'passed').length;
    // A test still pending was cut off; files, suites and hooks can fail outside any test.
    const unfinished = tests.filter((test) => ['failed', 'pending'].includes(test.result().state)).length;
    const failed = unfinished + failedOutsideTests(modules) + errors.length;

    if (skipped.length > 0) this.log('\nSkipped:');
    for (const test of skipped) {
      this.log(`  ${test.module.relativeModuleId} > ${test.fullName}: ${reason(test)}`);
    }
    if (skipped.length > 0 && process.env.CI === 'true') {
      this.log('\nCI=true: skipped tests fail this run.');
      process.exitCode = 1;
    }
    if (passed + failed === 0) {
      this.log('\nNo test ran: that fails this run.');
      process.exitCode = 1;
    }
    this.log(
      `\n${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`,
    );
  }

  /** With `-t` the tests that it leaves out count as skipped too, without a note; nobody asked for those. */
  #wasWanted = (test: TestCase): boolean =>
    this.ctx.config.testNamePattern === undefined || reasonGiven(test) !== undefined;
}

function failedOutsideTests(modules: readonly TestModule[]): number {
  const suites: (TestModule | TestSuite)[] = modules.flatMap((module) => [
    module,
    ...module.children.allSuites(),
  ]);
  return suites.filter((suite) => suite.errors().length > 0).length;
}

function reasonGiven(test: TestCase): string | undefined {
  const result = test.result();
  return result.state === 'skipped' ? result.note : undefined;
}

function reason(test: TestCase): string {
  return reasonGiven(test) ?? (test.options.mode === 'todo' ? 'not written yet' : 'no reason given');
}
