"""Tests of the verdict over counted instructions."""

import os
import tempfile
import unittest

from counting import Failure
from thresholds import Thresholds, compare, unmatched


class Verdict(unittest.TestCase):
    def test_within_the_tolerance(self):
        rows, worse, better = compare({"a": 1000}, {"a": 1049.0})
        self.assertEqual((len(rows), worse, better), (1, [], []))
        self.assertEqual(compare({"a": 1000}, {"a": 951.0})[1:], ([], []))

    def test_worse_is_named_with_both_figures(self):
        _, worse, better = compare({"a": 1000, "b": 10}, {"a": 1051.0, "b": 10.0})
        self.assertEqual(better, [])
        self.assertEqual(len(worse), 1)
        for part in ("a:", "1051", "1000", "+5.1%"):
            self.assertIn(part, worse[0])

    def test_better_is_a_hint(self):
        _, worse, better = compare({"a": 1000}, {"a": 900.0})
        self.assertEqual(worse, [])
        self.assertIn("-10.0%", better[0])

    def test_names_must_match_both_ways(self):
        self.assertEqual(unmatched(["a"], ["a"], "file"), [])
        self.assertIn("b: not in file", unmatched(["a"], ["a", "b"], "file")[0])
        self.assertIn("a: in file", unmatched(["a"], [], "file")[0])


class File(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "thresholds.json")

    def test_recorded_is_read_again(self):
        Thresholds(self.path, "x86_64").record({"a": 10.4}, {"swift": "6.3"})
        Thresholds(self.path, "aarch64").record({"a": 12.0}, {"swift": "6.3"})
        read = Thresholds(self.path, "x86_64")
        self.assertEqual(read.instructions, {"a": 10})
        self.assertEqual(read.other_tools({"swift": "6.3"}), [])
        self.assertEqual(len(read.other_tools({"swift": "6.4"})), 1)

    def test_what_is_no_json_is_named(self):
        with open(self.path, "w") as file:
            file.write("<<<<")
        with self.assertRaisesRegex(Failure, "thresholds.json"):
            Thresholds(self.path, "x86_64")

    def test_what_has_another_shape_is_named(self):
        for text, says in [
                ("[]", "by machine"), ('{"x86_64": 1}', "by machine"), ('{"x86_64": {"instructions": []}}', "by machine"),
                ('{"x86_64": {"instructions": {"put": 0}}}', "put: not"),
                ('{"x86_64": {"instructions": {"put": "1"}}}', "put: not")]:
            with open(self.path, "w") as file:
                file.write(text)
            with self.assertRaisesRegex(Failure, f"thresholds.json.*{says}"):
                Thresholds(self.path, "x86_64")


if __name__ == "__main__":
    unittest.main()
