"""Run the test cases of one of CPython's own modules, for tests/cpython.rs: cases.py MODULE RESULTS.

A line goes into RESULTS when a case starts and one when it has ended, at once, so that whoever finds
this program dead or hanging knows where. Cases that stand in RESULTS already are left out.
"""
import os
import sys
import unittest


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


class Result(unittest.TestResult):
    def __init__(self, file):
        super().__init__()
        self.file, self.pid, self.outcome, self.reason = file, os.getpid(), 'passed', ''

    def line(self, what, test, reason=''):
        # A child that a case forks may come here too; it has no say.
        if os.getpid() == self.pid:
            self.file.write('\t'.join((what, test.id().replace('\t', ' '), reason)) + '\n')

    def startTest(self, test):
        self.outcome, self.reason = 'passed', ''
        self.line('started', test)

    def stopTest(self, test):
        self.line(self.outcome, test, self.reason)

    def failed(self, test, error):
        self.outcome = 'failed'
        self.reason = ' '.join(f'{error[0].__name__}: {error[1]}'.split())[:300]
        # What goes wrong around the cases of a class or module has no start and no end.
        if not isinstance(test, unittest.TestCase):
            self.stopTest(test)

    def addError(self, test, error):
        self.failed(test, error)

    def addFailure(self, test, error):
        self.failed(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.failed(test, error)

    def addSkip(self, test, reason):
        self.outcome = 'skipped'

    def addUnexpectedSuccess(self, test):
        self.outcome = 'failed'


def main():
    module, results = sys.argv[1:]
    from test import support
    support.use_resources = ['cpu', 'walltime', 'subprocess']
    if module == 'test_socketserver':
        # This one means the machine's own network; others mean the world's.
        support.use_resources.append('network')
    done = set()
    if os.path.exists(results):
        done = {line.split('\t')[1] for line in open(results)}
    suite = unittest.defaultTestLoader.loadTestsFromName('test.' + module)
    # Cases that have run are gone, so that what they leave behind does not slow the garbage collections of others.
    # The kernel's AF_VSOCK leads out of the machine, if it leads anywhere: these cases wait for minutes.
    suite = unittest.TestSuite(t for t in flat(suite) if t.id() not in done and 'VSOCK' not in t.id())
    with open(results, 'a', buffering=1) as file:
        suite.run(Result(file))
        file.write('end\t\t\n')
    sys.stdout.flush()


if __name__ == '__main__':
    main()
