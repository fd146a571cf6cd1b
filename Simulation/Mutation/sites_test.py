"""python3 -m unittest discover --start-directory Simulation/Mutation --pattern '*_test.py'"""

import textwrap
import unittest

import sites


def found(swift):
    """Line, kind, what it changes and what it becomes, of each site in a text."""
    return [(site.line, site.kind, site.before, site.after) for site in sites.file_sites("A.swift", textwrap.dedent(swift))]


def switched(swift):
    """The lines that take the place of each site's line."""
    text = textwrap.dedent(swift)
    lines = text.split("\n")
    result = []
    for site in sites.file_sites("A.swift", text):
        line = lines[site.line - 1]
        result.append((line[:site.start] + site.switched("is") + line[site.end:]).strip())
    return result


def body(*lines):
    """The lines as a function's body; the first of them is line 2."""
    return "\n".join(["func f() {", *("    " + line for line in lines), "}"])


class SitesTests(unittest.TestCase):
    def test_each_condition_of_a_line_is_negated(self):
        self.assertEqual(
            switched(body("if isLeader, !peers.isEmpty { return }", "while queue.isRunning {", "}")),
            ["if (is != (isLeader)), !peers.isEmpty { return }", "if isLeader, (is != (!peers.isEmpty)) { return }",
             "while (is != (queue.isRunning)) {"])

    def test_bindings_and_patterns_are_no_conditions(self):
        self.assertEqual(found(body("if let lead, case .own = lead.kind { return }", "guard let key else { return }")), [])
        self.assertEqual(
            found(body("guard let key, key.isFine else { return }")), [(2, "negated", "key.isFine", "!(key.isFine)")])

    def test_a_comma_between_arguments_separates_no_conditions(self):
        self.assertEqual(
            switched(body("if contains(key, end), isFine { return }")),
            ["if (is != (contains(key, end))), isFine { return }", "if contains(key, end), (is != (isFine)) { return }"])

    def test_a_condition_that_goes_on_in_the_next_line_is_left_alone(self):
        self.assertEqual(found(body("if isLeader", "    && isQuiet", "{", "}")), [])

    def test_a_condition_with_a_closure_is_left_alone(self):
        self.assertEqual(found(body("if peers.contains(where: { $0.isDown }) { return }")), [])

    def test_comparisons_move_by_one_and_connectives_swap(self):
        kinds = [(kind, before, after) for _, kind, before, after in found(body("let isIn = low <= key && key < high"))]
        self.assertEqual(
            kinds,
            [("operator", "< in low <= key && key < high", "<="), ("operator", "<= in low <= key && key < high", "<"),
             ("operator", "&& in low <= key && key < high", "||")])
        self.assertIn(
            "let isIn = (is ? (low <= key && key <= high) : (low <= key && key < high))",
            switched(body("let isIn = low <= key && key < high")))

    def test_a_lone_equality_is_negated_once(self):
        self.assertEqual(found(body("if term == own { return }")), [(2, "negated", "term == own", "!(term == own)")])

    def test_one_is_left_out(self):
        self.assertEqual(switched(body("return count + 1")), ["return (is ? (count) : (count + 1))"])
        self.assertEqual(switched(body("return index.next")), ["return (is ? (index) : (index.next))"])
        for other in ("count + 10", "lead.nextDeadline", "index.next(after: key)"):
            self.assertEqual(found(body("return " + other)), [], other)

    def test_one_line_properties_count_as_values(self):
        self.assertEqual(
            switched("struct A {\n    var last: Int { end - 1 }\n}"), ["var last: Int { (is ? (end) : (end - 1)) }"])

    def test_statements_are_dropped(self):
        self.assertEqual(
            switched(body("count += 1", "peers[slot].match = index", "try send(all)", "_ = take()", "continue")),
            ["if !is { count += 1 }", "if !is { peers[slot].match = index }", "if !is { try send(all) }",
             "if !is { _ = take() }", "if !is { continue }"])

    def test_declarations_and_ends_are_not_dropped(self):
        self.assertEqual(
            found(body("let count = take()", "return send(all)", "precondition(isFine)", "throw Failure(all)",
                       "super.init(all)")), [])

    def test_parts_of_longer_statements_are_not_dropped(self):
        self.assertEqual(found(body("send(", "    make(all)", ")")), [])
        self.assertEqual(found(body("let all =", "    make(all)")), [])
        self.assertEqual(found(body("make(all)", "    .sorted()")), [])
        self.assertEqual(found(body("send(all) { peer in", "}")), [])

    def test_what_follows_a_case_is_a_statement(self):
        self.assertEqual(
            found(body("switch kind {", "case .own:", "    close(all)", "}")), [(4, "dropped", "close(all)", "nothing")])

    def test_members_of_a_type_are_no_statements(self):
        self.assertEqual(found("enum A {\n    case close(all)\n    static let one = make(all)\n}"), [])

    def test_comments_and_strings_are_not_changed(self):
        self.assertEqual(found(body("// close(all)", "/* close(all) */", 'let text = "a < b and c + 1"')), [])
        self.assertEqual(found(body('let text = """', "    close(all)", '    """')), [])

    def test_an_interpolation_does_not_end_its_string(self):
        masked = sites.masked('let text = "\\(name("a")) < b"; close(all)')
        self.assertNotIn("<", masked)
        self.assertTrue(masked.endswith("; close(all)"))

    def test_masking_keeps_lines_and_columns(self):
        text = 'a // "b"\n"c" /* d\ne */ f'
        masked = sites.masked(text)
        self.assertEqual([len(line) for line in masked.split("\n")], [len(line) for line in text.split("\n")])
        self.assertEqual(masked.split(), ["a", '"', '"', "f"])


if __name__ == "__main__":
    unittest.main()
