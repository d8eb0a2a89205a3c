// Judge says whether a history of operations on keys is linearizable, with Porcupine
// (https://github.com/anishathalye/porcupine).
//
//	judge [-seconds N] [-html FOLDER] HISTORY
//
// HISTORY has one JSON object a line, as tests/cluster/history.py writes them. Every key is judged alone: linearizability
// is local (Herlihy and Wing, 1990). Prints one line for each key that is not linearizable, with where its picture is,
// and a summary. Exit status: 0 linearizable, 1 not, 2 not known in time, 3 not readable.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

type line struct {
	Process string `json:"process"`
	Key     string `json:"key"`
	Op      string `json:"op"`
	Input   input  `json:"input"`
	Output  output `json:"output"`
	Start   int64  `json:"start_ns"`
	End     *int64 `json:"end_ns"`
	Outcome string `json:"outcome"`
}

// input is what was asked: Value to be written, and what a compare-and-set expects (nil: that there is nothing).
type input struct {
	Value  *string `json:"value"`
	Expect *string `json:"expect"`
}

// output is what was answered: the Value that was read (nil: nothing there), whether a delete found something, whether
// a compare-and-set took place.
type output struct {
	Value   *string `json:"value"`
	Existed bool    `json:"existed"`
	Swapped bool    `json:"swapped"`
}

func read(path string) (map[string][]line, int, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	keys := map[string][]line{}
	written := map[[2]string]bool{}
	count := 0
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 1<<20), 1<<28)
	for number := 1; scanner.Scan(); number++ {
		var one line
		if err := json.Unmarshal(scanner.Bytes(), &one); err != nil {
			return nil, 0, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if err := check(one); err != nil {
			return nil, 0, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if one.Op == "list" {
			continue
		}
		if one.Input.Value != nil {
			value := [2]string{one.Key, *one.Input.Value}
			if written[value] {
				return nil, 0, fmt.Errorf("%s:%d: %s is written twice: nobody can tell who saw which", path, number, value[1])
			}
			written[value] = true
		}
		count++
		keys[one.Key] = append(keys[one.Key], one)
	}
	for _, lines := range keys {
		sort.SliceStable(lines, func(i, j int) bool { return lines[i].Start < lines[j].Start })
	}
	return keys, count, scanner.Err()
}

func check(one line) error {
	switch one.Op {
	case "put", "cas":
		if one.Input.Value == nil {
			return fmt.Errorf("%s without a value", one.Op)
		}
	case "get", "delete", "list":
	default:
		return fmt.Errorf("unknown operation %q", one.Op)
	}
	switch one.Outcome {
	case "ok", "fail":
		if one.End == nil || *one.End < one.Start {
			return fmt.Errorf("ends before it starts")
		}
	case "unknown":
	default:
		return fmt.Errorf("unknown outcome %q", one.Outcome)
	}
	return nil
}

func main() {
	seconds := flag.Int("seconds", 300, "for each key; beyond it nothing is known")
	folder := flag.String("html", "", "where to write a picture of each violation")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(3)
	}
	begin := time.Now()
	keys, count, err := read(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	sort.Strings(names)
	verdicts := make([]porcupine.CheckResult, len(names))
	said := make([]string, len(names))
	var waiting sync.WaitGroup
	places := make(chan bool, runtime.NumCPU()) // each key that is judged takes memory
	for number, name := range names {
		waiting.Add(1)
		places <- true
		go func() {
			defer func() { <-places; waiting.Done() }()
			verdicts[number], said[number] = judge(name, keys[name], time.Duration(*seconds)*time.Second, *folder)
		}()
	}
	waiting.Wait()
	status := 0
	for number, verdict := range verdicts {
		if said[number] != "" {
			fmt.Println(said[number])
		}
		if verdict == porcupine.Illegal {
			status = 1
		} else if verdict == porcupine.Unknown && status == 0 {
			status = 2
		}
	}
	fmt.Printf("judged %d operations on %d keys in %.1f s\n", count, len(names), time.Since(begin).Seconds())
	os.Exit(status)
}

// judge looks at one key: first without what is in doubt, then with the deletes of it, then with all. Where some can be
// left out and the rest is linearizable, so is the whole, since it may have come after everything; only the last of the
// three can find a violation.
func judge(key string, lines []line, limit time.Duration, folder string) (porcupine.CheckResult, string) {
	verdict, info := porcupine.Unknown, porcupine.LinearizationInfo{}
	for _, doubtful := range []map[string]bool{{}, {"delete": true}, {"delete": true, "put": true, "cas": true}} {
		verdict, info = porcupine.CheckOperationsVerbose(register, operations(lines, doubtful), limit)
		if verdict == porcupine.Ok {
			return verdict, ""
		}
	}
	if verdict == porcupine.Unknown {
		return verdict, fmt.Sprintf("not known: key %s: %d operations took longer than %s", key, len(lines), limit)
	}
	longest := 0
	for _, partial := range info.PartialLinearizations()[0] {
		longest = max(longest, len(partial))
	}
	message := fmt.Sprintf("violation: key %s: of %d operations no order explains more than %d", key, len(lines), longest)
	if folder != "" {
		name := strings.Map(func(one rune) rune {
			if strings.ContainsRune("/\\\x00", one) {
				return '_'
			}
			return one
		}, key)
		path := filepath.Join(folder, "violation-"+name+".html")
		if err := porcupine.VisualizePath(register, info, path); err != nil {
			message += fmt.Sprintf(" (no picture: %s)", err)
		} else {
			message += ": " + path
		}
	}
	return verdict, message
}
