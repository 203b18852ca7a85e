// What the clients in Go share: tests one after another, a line of JSON each, and the cases.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

const rounds = 10

var (
	skip, _ = strconv.Atoi(os.Getenv("RISKSTREAM_SKIP"))
	only    = os.Getenv("RISKSTREAM_FEATURE")
	number  = 0
)

type parameter struct {
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type sharedCase struct {
	Feature    string      `json:"feature"`
	Case       string      `json:"case"`
	SQL        string      `json:"sql"`
	Parameters []parameter `json:"parameters"`
	Before     []string    `json:"before"`
	Rounds     int         `json:"rounds"`
}

// cases gives the shared cases of these features.
func cases(features ...string) []sharedCase {
	text, err := os.ReadFile(os.Getenv("RISKSTREAM_CASES"))
	if err != nil {
		panic(err)
	}
	var all, found []sharedCase
	if err := json.Unmarshal(text, &all); err != nil {
		panic(err)
	}
	for _, one := range all {
		if slices.Contains(features, one.Feature) {
			found = append(found, one)
		}
	}
	return found
}

// value is a parameter as Go has it.
func value(kind string, raw any) any {
	if raw == nil {
		return nil
	}
	if list, ok := raw.([]any); ok {
		return listOf(strings.TrimSuffix(kind, "[]"), list)
	}
	text := raw.(string)
	switch kind {
	case "bool":
		return text == "t"
	case "int2", "int4", "int8":
		n, _ := strconv.ParseInt(text, 10, 64)
		return n
	case "float4", "float8":
		n, _ := strconv.ParseFloat(text, 64)
		return n
	case "bytea":
		bytes, _ := hex.DecodeString(text)
		return bytes
	case "timestamptz":
		at, _ := time.Parse(time.RFC3339Nano, text)
		return at
	case "timestamp":
		at, _ := time.Parse("2006-01-02T15:04:05.999999", text)
		return at
	case "date":
		at, _ := time.Parse("2006-01-02", text)
		return at
	}
	return text
}

func listOf(kind string, list []any) any {
	if kind == "text" {
		found := make([]*string, len(list))
		for i, one := range list {
			if text, ok := one.(string); ok {
				found[i] = &text
			}
		}
		return found
	}
	found := make([]*int64, len(list))
	for i, one := range list {
		if n, ok := value("int8", one).(int64); ok && kind != "float8" {
			found[i] = &n
		}
	}
	if kind == "float8" {
		floats := make([]*float64, len(list))
		for i, one := range list {
			if n, ok := value("float8", one).(float64); ok {
				floats[i] = &n
			}
		}
		return floats
	}
	return found
}

// plain is a value with its type, as a text.
func plain(found any) any {
	switch found := found.(type) {
	case nil, string, bool:
		return found
	case []byte:
		return "bytes " + hex.EncodeToString(found)
	case time.Time:
		return "time " + found.Format(time.RFC3339Nano)
	case [16]byte:
		return "uuid " + hex.EncodeToString(found[:])
	case float64, float32:
		return fmt.Sprintf("%T %v", found, found)
	case []any:
		list := []any{}
		for _, one := range found {
			list = append(list, plain(one))
		}
		return list
	case map[string]any:
		text, _ := json.Marshal(found)
		return "map " + string(text)
	}
	if text, ok := found.(fmt.Stringer); ok {
		return fmt.Sprintf("%T %s", found, text)
	}
	return fmt.Sprintf("%T %+v", found, found)
}

func say(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		text, _ = json.Marshal(map[string]any{
			"feature": line["feature"], "case": line["case"], "answer": fmt.Sprint(line["answer"]),
		})
	}
	fmt.Println(string(text))
}

// test runs a test unless it was run before; state gives the SQLSTATE of an error.
func test(feature, name string, times int, state func(error) string, work func() (any, error)) {
	if only != "" && !slices.Contains(strings.Split(only, ","), feature) {
		return
	}
	number++
	if number <= skip {
		return
	}
	say(map[string]any{"begin": number, "feature": feature, "case": name})
	var answer any
	for round := range times {
		now, err := guarded(work)
		if err != nil {
			kind := state(err)
			if kind == "" {
				kind = fmt.Sprintf("%T", err)
			}
			now = map[string]any{"error": kind, "text": err.Error()}
		}
		if round == 0 {
			answer = now
		} else if !reflect.DeepEqual(answer, now) {
			answer = map[string]any{
				"error": "rounds differ", "first": answer, "round": round + 1, "now": now,
			}
			break
		}
		if err != nil {
			break
		}
	}
	say(map[string]any{"feature": feature, "case": name, "answer": answer})
}

// guarded turns a panic of a driver into an error.
func guarded(work func() (any, error)) (found any, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("panic: %v", problem)
		}
	}()
	return work()
}
