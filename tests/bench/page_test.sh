#!/usr/bin/env bash
# The report page and the README's block, made of rows that are made up here; what the numbers are
# is known, so what must stand there is.
#
#   page_test.sh PAGE_PY
set -eu
page=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

mkdir rows
cat >rows/emit <<'ROWS'
{"name":"emit p50, 1 thread","value":52.4,"unit":"ns","compared_with":null,"ratio":null,"budget":"<= 60 ns","limit":60,"limit_on":"value_max","met":true}
{"name":"emit p50 is faster","value":52.4,"unit":"ns","compared_with":"spdlog <async> | 412 ns","ratio":7.86,"budget":">= 5x","limit":5,"limit_on":"ratio_min","met":true}
{"name":"emit p99, 1 thread","value":183,"unit":"ns","compared_with":null,"ratio":null,"budget":null,"limit":null,"limit_on":null,"met":null}
ROWS
touch -d '1 minute ago' rows/emit
cat >rows/drain <<'ROWS'
{"name":"drain audit","value":250000.0,"unit":"rows/s","compared_with":null,"ratio":null,"budget":">= 300 k rows/s","limit":300000,"limit_on":"value_min","met":false}
{"name":"what could not be measured","value":null,"unit":"ms","compared_with":null,"ratio":null,"budget":"<= 1 s","limit":1000,"limit_on":"value_max","met":false}
ROWS

python3 "$page" gather rows run.json "tests/bench/run emit drain --seconds 1"
python3 - <<'PYTHON'
import json
rows = json.load(open("run.json"))
assert [row["bench"] for row in rows] == ["emit"] * 3 + ["drain"] * 2, rows
for row in rows:
    assert {"name", "value", "unit", "compared_with", "ratio", "budget", "met"} <= set(row), row
    run = row["run"]
    assert run["machine"]["processors"] > 0 and run["machine"]["processor"], run["machine"]
    assert run["versions"]["system"] and run["versions"]["compiler"], run["versions"]
PYTHON

python3 "$page" html run.json page.html
grep -q '2 of 4 budgets met' page.html || fail "the page does not count the budgets"
grep -q 'emit p99, 1 thread' page.html || fail "a row without a budget is not on the page"
grep -q 'tests/bench/run emit drain --seconds 1' page.html || fail "the page does not say its command"
grep -q 'spdlog &lt;async&gt;' page.html || fail "text is taken for markup"
[ "$(grep -o '<svg ' page.html | wc -l)" -ge 3 ] || fail "plots are missing"
grep -q '1.15×' page.html || fail "60 ns for 52.4 is no margin of 1.15"
if grep -E -o '(src|href)=|url\(|@import|<script' page.html; then fail "the page loads something"; fi

# A perf script of two programs: one sample of main() that calls work<int>(), and three of idle().
mkdir flames
python3 "$(dirname "$page")/flame_graph.py" flames <<'SAMPLES'
app 17
	    55d0 homeward::work<int>(long, char const*)
	    55c0 main

sleeper 18
	    6600 idle

sleeper 18
	    6600 idle

sleeper 18
	    6600 idle

SAMPLES
[ "$(ls flames | tr '\n' ' ')" = 'app.svg sleeper.svg ' ] || fail "flame graphs of $(ls flames)"
grep -q '<title>work, 100.0%</title>' flames/app.svg || fail "a name with its parameters"
sed 's/"bench": "drain"/"bench": "cpu"/' run.json >cpu.json
python3 "$page" html cpu.json cpu.html flames
[ "$(grep -o '<h3>' cpu.html | wc -l)" -eq 2 ] || fail "flame graphs are not on the page"
if grep -E -o '(src|href)=|url\(|@import|<script' cpu.html; then fail "flame graphs load something"; fi

printf '# X\n\nabove\n\n## Tests\nbelow\n' >README.md
python3 "$page" readme run.json README.md
grep -q '^| emit p50, 1 thread | 52.4 ns |  |  | ≤ 60 ns | met |$' README.md || fail "no row: $(cat README.md)"
grep -q '^| drain audit | 250 k rows/s |  |  | ≥ 300 k rows/s | missed |$' README.md || fail "a miss is hidden"
grep -q 'spdlog &lt;async> \\| 412 ns' README.md || fail "a bar breaks the table"
grep -q 'tests/bench/run emit drain --seconds 1' README.md || fail "the block does not say its command"
[ "$(sed -n '/^## Measured/,$p' README.md | tail -n 2 | tr '\n' ' ')" = '## Tests below ' ] ||
    fail "the block is not before the tests"
cp README.md once.md
python3 "$page" readme run.json README.md
cmp once.md README.md || fail "twice is not as once"

# Other numbers replace it; nothing around it moves.
sed -i 's/52\.4/48.1/' run.json
python3 "$page" readme run.json README.md
diff once.md README.md >changed && fail "new numbers do not arrive"
if grep '^[<>]' changed | grep -v '| emit p50'; then fail "more changed than the numbers"; fi

# What is no run changes nothing.
cp README.md before.md
echo '[]' >broken.json
echo '[{"name": "x"}]' >old.json
for wrong in broken.json old.json nowhere.json; do
    if python3 "$page" readme "$wrong" README.md 2>said; then fail "$wrong is accepted"; fi
    grep -q "page.py: $wrong" said || fail "$wrong: $(cat said)"
done
cmp before.md README.md || fail "a broken run changed the README"
sed -i 's/^<!-- bench: until here -->$//' README.md
if python3 "$page" readme run.json README.md 2>said; then fail "a README without its end mark is written"; fi
grep -q 'marks are broken' said || fail "$(cat said)"
# The front README shows five rows of a whole run; a run that lacks one changes nothing.
printf '# Front\n\n## Tests\n' >front.md
if python3 "$page" front run.json front.md 2>said; then fail "a run without the rows is accepted"; fi
grep -q 'the run has no row "emit p50, 1 thread, is faster"' said || fail "$(cat said)"
grep -q bench front.md && fail "a run without the rows changed the README"
mkdir whole
python3 - "$(dirname "$page")" <<'PYTHON'
import json, sys
sys.path.insert(0, sys.argv[1])
import page
with open("whole/all", "w") as rows:
    for name in page.FRONT_ROWS:
        rows.write(json.dumps({"name": name, "value": 58.9, "unit": "ns", "compared_with": "a | b",
                               "ratio": 10.14 if "emit p50" in name else 152893.2, "budget": ">= 5x", "limit": 5,
                               "limit_on": "ratio_min", "met": not name.startswith("worst")}) + "\n")
PYTHON
python3 "$page" gather whole whole.json "tests/bench/run"
python3 "$page" front whole.json front.md
grep -q '| 58.9 ns | a \\| b | 10.1× |$' front.md || fail "no row of emit: $(cat front.md)"
[ "$(grep -c '| 58.9 ns | a \\| b | 153,000× |$' front.md)" -eq 4 ] || fail "not five rows: $(cat front.md)"
grep -q '4 of 5 budgets met' front.md || fail "the front does not count the budgets"
cp front.md once.md
python3 "$page" front whole.json front.md
cmp once.md front.md || fail "twice is not as once"
echo "all is as it should be"
