package main

import (
	"fmt"
	"math"

	"github.com/anishathalye/porcupine"
)

// asked and answered are what the model sees of an operation.
type asked struct {
	op     string
	value  string
	expect *string
	rank   int // among those of its kind that are in doubt, in the order of their beginnings; distinct: it has none
}

type answered struct {
	known   bool
	seen    bool // not known, but somebody read what it wrote
	value   *string
	existed bool
	swapped bool
}

// content is what a key holds.
type content struct {
	there bool
	value string
}

func (now content) is(value *string) bool {
	return now.there == (value != nil) && (value == nil || *value == now.value)
}

// state of a key. ended: everything that is known has happened. Where doubt is set, what is held was just done by an
// operation of unknown outcome that nobody saw, and before is what was held until then. puts and deletes of that kind
// that have taken place are counted.
type state struct {
	content
	ended   bool
	doubt   bool
	before  content
	puts    int
	deletes int
}

const (
	end      = "end"
	distinct = -1
)

// register is one object: put, get, delete, and compare-and-set (a conditional put; its expectation nil is that there is
// nothing).
//
// An operation of unknown outcome that nobody saw could be anywhere or nowhere, and so many places for each are too many
// to try. So it takes place only where it changes something and the next operation could not have answered as it did
// without it; else it could as well come after that one, or, where that one writes, not at all. All that never took
// place come behind the end of what is known, where they mean nothing.
var register = porcupine.Model{
	Init: func() interface{} { return state{} },
	Step: func(before, in, out interface{}) (bool, interface{}) {
		return step(before.(state), in.(asked), out.(answered))
	},
	DescribeOperation: func(in, out interface{}) string { return describe(in.(asked), out.(answered)) },
	DescribeState: func(of interface{}) string {
		if now := of.(state); now.there {
			return now.value
		}
		return "nothing"
	},
}

func step(now state, in asked, out answered) (bool, interface{}) {
	if now.ended {
		return !out.known, now
	}
	if now.doubt {
		if possible, _ := apply(now.before, in, out); possible {
			return false, now
		}
	}
	if in.op == end {
		return true, state{ended: true}
	}
	possible, next := apply(now.content, in, out)
	after := state{content: next, puts: now.puts, deletes: now.deletes}
	if out.known || out.seen {
		return possible, after
	}
	after.doubt, after.before = true, now.content
	switch in.op {
	case "put":
		if in.rank != distinct {
			possible = possible && in.rank == now.puts
			after.puts++
		}
	case "delete":
		possible = possible && in.rank == now.deletes
		after.deletes++
	}
	return possible && next != now.content, after
}

// apply says whether an operation can have answered so, and what is held then.
func apply(now content, in asked, out answered) (bool, content) {
	written := content{there: true, value: in.value}
	switch in.op {
	case end:
		return true, now
	case "put":
		return true, written
	case "get":
		return now.is(out.value), now
	case "delete":
		return !out.known || out.existed == now.there, content{}
	default: // cas
		if !out.known || out.swapped {
			return now.is(in.expect), written
		}
		return !now.is(in.expect), now
	}
}

// operations are those that count: a failed one changed nothing, and a read of unknown outcome says nothing.
//
// Values are unique, so a write of unknown outcome whose value somebody saw took place before that ended. Those that nobody
// saw are in doubt, and left out but for the kinds in doubtful. What a refused compare-and-set named can be told from
// others by it.
func operations(lines []line, doubtful map[string]bool) []porcupine.Operation {
	seen := map[string]int64{}
	named := map[string]bool{}
	last := int64(0)
	for _, one := range lines {
		last = max(last, one.Start)
		if one.Op == "cas" && one.Input.Expect != nil {
			named[*one.Input.Expect] = true
		}
		if one.Outcome != "ok" {
			continue
		}
		last = max(last, *one.End)
		value := one.Output.Value
		if one.Op == "cas" && one.Output.Swapped {
			value = one.Input.Expect
		}
		if value != nil {
			if earlier, found := seen[*value]; !found || *one.End < earlier {
				seen[*value] = *one.End
			}
		}
	}
	closing := porcupine.Operation{Input: asked{op: end}, Call: last + 1, Return: last + 2, Output: answered{known: true}}
	found := []porcupine.Operation{closing}
	clients := map[string]int{}
	ranks := map[string]int{}
	for _, one := range lines { // by their beginnings
		if one.Outcome == "fail" || one.Outcome == "unknown" && one.Op == "get" {
			continue
		}
		if _, known := clients[one.Process]; !known {
			clients[one.Process] = len(clients) + 1
		}
		in := asked{op: one.Op, expect: one.Input.Expect}
		if one.Input.Value != nil {
			in.value = *one.Input.Value
		}
		out := answered{}
		var until int64 = math.MaxInt64
		if one.Outcome == "ok" {
			out = answered{known: true, value: one.Output.Value, existed: one.Output.Existed, swapped: one.Output.Swapped}
			until = *one.End
		} else if when, observed := seen[in.value]; observed && in.op != "delete" {
			out.seen, until = true, max(when, one.Start)
		} else if !doubtful[in.op] {
			continue
		} else if named[in.value] && in.op == "put" {
			in.rank = distinct
		} else {
			in.rank = ranks[in.op]
			ranks[in.op]++
		}
		found = append(found, porcupine.Operation{
			ClientId: clients[one.Process], Input: in, Call: one.Start, Output: out, Return: until,
		})
	}
	return found
}

func describe(in asked, out answered) string {
	text := func(value *string) string {
		if value == nil {
			return "nothing"
		}
		return *value
	}
	said := "?"
	switch {
	case in.op == end:
		return "end of what is known"
	case !out.known:
	case in.op == "get":
		said = text(out.value)
	case in.op == "delete":
		said = fmt.Sprintf("existed: %t", out.existed)
	case in.op == "cas":
		said = fmt.Sprintf("swapped: %t", out.swapped)
	default:
		said = "ok"
	}
	switch in.op {
	case "put":
		return fmt.Sprintf("put %s -> %s", in.value, said)
	case "cas":
		return fmt.Sprintf("cas %s to %s -> %s", text(in.expect), in.value, said)
	}
	return fmt.Sprintf("%s -> %s", in.op, said)
}
