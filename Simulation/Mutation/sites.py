"""Places in Swift sources that a mutant can change, each within one line.

This is no parser: lines that it does not understand are left alone, and what does not compile is taken out again later.
"""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Site:
    """One possible change of one line."""

    path: str
    line: int  # from 1
    start: int  # columns of the text that is replaced
    end: int
    kind: str
    before: str  # what the mutant changes, for people
    after: str
    # What stands there with the mutant compiled in; `{is}` is the question whether it is switched on.
    template: str

    def switched(self, question):
        return self.template.replace("{is}", question)


OPERATORS = {
    " < ": [" <= "], " <= ": [" < "], " > ": [" >= "], " >= ": [" > "],
    " == ": [" != "], " != ": [" == "], " && ": [" || "], " || ": [" && "],
}
ONE_OFF = {" + 1": "", " - 1": "", ".next": "", ".previous": ""}

# A line of these is a statement of its own when it stands in a body.
CALL = re.compile(r"(?:try |_ = )?[A-Za-z_][\w.?!]*(?:\[[^\]]*\][\w.?!]*)*\(.*\)$")
ASSIGNMENT = re.compile(r"[A-Za-z_][\w.?!]*(?:\[[^=]*\][\w.?!]*)* [-+&|^*]?=? ?= .+$|[A-Za-z_][\w.]* [-+]= .+$")
NO_STATEMENT = re.compile(
    r"(let|var|func|case|default|if|guard|while|for|switch|return|throw|import|init|precondition|preconditionFailure"
    r"|assert|fatalError|struct|enum|class|extension|package|private|static|mutating|typealias|super|self\.\w+ =|trace)\b"
)
CONTINUES = re.compile(r"^\s*(\.|\?|:|&&|\|\||\+|-|\*|/|==|!=|<|>|else\b|\?\?|where\b|->|\)|\]|and\b)")
UNFINISHED = re.compile(r"([,(\[=?:]|&&|\|\||[-+*/<>!]|->|\breturn|\bin)\s*$")

LABEL = re.compile(r"\s*(case\b.*|default):$")


def masked(text):
    """The text with comments and the contents of strings blanked out; same length, same lines."""
    result = list(text)
    place, size = 0, len(text)

    def blank(first, last):
        for index in range(first, last):
            if result[index] != "\n":
                result[index] = " "

    while place < size:
        if text.startswith("//", place):
            end = text.find("\n", place)
            end = size if end < 0 else end
            blank(place, end)
        elif text.startswith("/*", place):
            end = text.find("*/", place)
            end = size if end < 0 else end + 2
            blank(place, end)
        elif text.startswith('"""', place):
            end = text.find('"""', place + 3)
            end = size if end < 0 else end + 3
            blank(place + 3, end - 3)
        elif text[place] == '"':
            end = place + 1
            depth = 0  # of an interpolation's parentheses
            while end < size and (text[end] != '"' or depth > 0) and text[end] != "\n":
                if text.startswith("\\(", end):
                    depth += 1
                    end += 1
                elif text[end] == "\\":
                    end += 1
                elif depth > 0 and text[end] in "()":
                    depth += 1 if text[end] == "(" else -1
                end += 1
            end = min(end + 1, size)
            blank(place + 1, end - 1)
        else:
            end = place + 1
        place = end
    return "".join(result)


def innermost(code):
    """For each line, the bracket in which it begins ('' outside of all)."""
    stack, found = [], []
    for line in code.split("\n"):
        found.append(stack[-1] if stack else "")
        for character in line:
            if character in "([{":
                stack.append(character)
            elif character in ")]}" and stack:
                stack.pop()
    return found


def balanced(text):
    stack = []
    for character in text:
        if character in "([{":
            stack.append(character)
        elif character in ")]}":
            if not stack or "([{".index(stack.pop()) != ")]}".index(character):
                return False
    return not stack


def clauses(code, first):
    """The conditions from column `first` on, up to the body or `else`: (start, end) of each; none when they go on."""
    found, depth, start, place = [], 0, first, first
    while place < len(code):
        character = code[place]
        if depth == 0 and (character == "{" or code.startswith("else", place) and code[place - 1] == " "):
            found.append((start, place))
            return found
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            found.append((start, place))
            start = place + 1
        place += 1
    # What ends with the line is whole only if a comma ends it.
    return found


def trimmed(code, start, end):
    while start < end and code[start] == " ":
        start += 1
    while end > start and code[end - 1] == " ":
        end -= 1
    return start, end


def changes(line, code, start, end):
    """Changes of the expression between two columns: (kind, before, after, the changed expression)."""
    for table, kind in ((OPERATORS, "operator"), (ONE_OFF, "off by one")):
        for old, replacement in table.items():
            for new in replacement if isinstance(replacement, list) else [replacement]:
                place = code.find(old, start, end)
                while place >= 0:
                    after = place + len(old)
                    if kind == "operator" or after >= len(code) or not re.match(r"[\w(.]", code[after]):
                        yield kind, old.strip(), new.strip() or "nothing", line[start:place] + new + line[after:end]
                    place = code.find(old, after, end)


def expression_sites(path, number, line, code, start, end, negate):
    text = line[start:end]
    if not text.strip() or not balanced(code[start:end]) or "{" in code[start:end]:
        return
    if negate and not re.match(r"(let|var|case|unsafe|#)\b", text):
        yield Site(path, number, start, end, "negated", text, f"!({text})", f"({{is}} != ({text}))")
    for kind, before, after, changed in changes(line, code, start, end):
        # Of a single comparison that is the negation again.
        if negate and before in ("==", "!=") and not re.search(r" (&&|\|\||\?) ", text):
            continue
        yield Site(
            path, number, start, end, kind, f"{before} in {text}", after, f"({{is}} ? ({changed}) : ({text}))")


def line_sites(path, number, line, code, bracket, previous, following):
    """All sites of one line; at most a handful."""
    stripped = code.strip()
    indent = len(code) - len(code.lstrip())
    condition = re.match(r"\s*(?:\} )?(?:else )?(if|guard|while)\s+", code)
    if condition:
        for start, end in clauses(code, condition.end()):
            start, end = trimmed(code, start, end)
            if not re.match(r"(let|var|case|#)\b", code[start:end]):
                yield from expression_sites(path, number, line, code, start, end, negate=True)
        return
    goes_on = UNFINISHED.search(previous) and not LABEL.match(previous)
    if bracket != "{" or goes_on or CONTINUES.match(following) or UNFINISHED.search(code):
        return
    value = re.match(r"\s*(?:return |(?:let|var) \w+(?:: [^=]+)? = |[A-Za-z_][\w.?!]*(?:\[[^=\]]*\])? [-+]?= )", code)
    if value and balanced(code[value.end():]):
        start, end = trimmed(code, value.end(), len(code.rstrip()))
        yield from expression_sites(path, number, line, code, start, end, negate=False)
    property_body = re.match(r"[^{]*[\w?>\])] \{ ([^{}]+) \}$", code.rstrip())
    if property_body and not re.search(r"\b(in|get|set|return|let|var)\b", property_body.group(1)):
        start, end = property_body.span(1)
        yield from expression_sites(path, number, line, code, start, end, negate=False)
    end = len(code.rstrip())
    if NO_STATEMENT.match(stripped) or not balanced(stripped):
        return
    if stripped in ("return", "continue", "break") or CALL.match(stripped) or ASSIGNMENT.match(stripped):
        text = line[indent:end]
        yield Site(path, number, indent, end, "dropped", text, "nothing", f"if !{{is}} {{ {text} }}")


def file_sites(path, text):
    code = masked(text)
    lines, codes, brackets = text.split("\n"), code.split("\n"), innermost(code)

    def neighbour(index, step):
        index += step
        while 0 <= index < len(codes) and not codes[index].strip():
            index += step
        return codes[index].rstrip() if 0 <= index < len(codes) else ""

    for index, line in enumerate(lines):
        if codes[index].strip():
            yield from line_sites(
                path, index + 1, line, codes[index], brackets[index], neighbour(index, -1), neighbour(index, 1))
