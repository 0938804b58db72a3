package pipeproto

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// messageFiles define the messages: those of kernel hosts, those of workers,
// those of control sockets.
var messageFiles = []string{"messages.go", "workermessages.go", "control.go"}

// messageTypes has a value of every struct in messageFiles; TestEveryMessage
// complains of one that is missing.
func messageTypes() []any {
	return []any{
		Empty{}, Count{}, Hello{}, HelloReply{}, Configure{}, AddBundle{}, VatOptions{}, CreateVat{}, AdminNode{}, CreateVats{}, CreateVatsReply{},
		CreateVatReply{}, Item{}, Enqueue{}, Run{}, RunReply{}, Height{}, Turn{}, TurnReply{}, SlogNote{}, CListChange{}, Action{}, Acted{}, VatState{}, Incarnation{}, Delivered{},
		Verdict{}, CallNow{}, CallNowReply{}, VatRef{}, VatControl{}, Upgrade{}, Refill{}, RestartAll{}, RestartAllReply{},
		Rehearse{}, Rehearsal{}, RehearseReply{}, StatusRequest{}, VatStatus{}, Counts{}, Status{}, SnapshotInfo{},
		SnapshotList{}, SnapshotCheck{}, SnapshotVerifyReply{}, SpanInfo{}, SpanList{}, Replay{}, ReplayReply{}, Pool{}, Pin{}, FramesRecord{}, FramesRecorded{},
		VatEvent{}, ConsoleEvent{}, WarningEvent{}, ProgressEvent{},
		WorkerHello{}, WorkerHelloReply{}, WorkerCode{}, WorkerCommand{}, WorkerAnswer{}, WorkerOutcome{}, WorkerHeap{}, WorkerExit{},
		WorkerFork{}, WorkerForked{},
		ControlHello{}, ControlHelloReply{}, VatName{}, VatsFound{}, Page{}, SpanPage{}, SnapshotPage{}, Live{}, Doing{}, LiveWorker{}, Totals{}, Histogram{},
		Alarm{}, Warned{}, Holder{}, Command{}, Stream{}, CommandReply{}, Output{},
	}
}

// message is a Req… or Event… constant of messageFiles.
type message struct {
	constant string
	name     string // on the wire
	body     string // struct
	reply    string // struct, empty for an event
	remark   string
	group    int // which of the const blocks that have messages, over all files
}

// source is what the tests read out of messageFiles.
type source struct {
	messages []message
	structs  map[string]*ast.StructType
	docs     map[string]string
	order    []string // of structs
	groups   int
}

var signature = regexp.MustCompile(`^(\w+)(?: \([^)]*\))?(?: -> (\w+))?`)

func readSource(t testing.TB) *source {
	t.Helper()
	src := &source{structs: map[string]*ast.StructType{}, docs: map[string]string{}}
	for _, name := range messageFiles {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok {
				src.read(t, gen)
			}
		}
	}
	return src
}

func (src *source) read(t testing.TB, gen *ast.GenDecl) {
	t.Helper()
	found := 0
	for _, spec := range gen.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			if m, ok := src.readMessage(t, spec); ok {
				m.group = src.groups
				src.messages = append(src.messages, m)
				found++
			}
		case *ast.TypeSpec:
			if st, ok := spec.Type.(*ast.StructType); ok {
				src.structs[spec.Name.Name] = st
				src.docs[spec.Name.Name] = oneLine(gen.Doc.Text())
				src.order = append(src.order, spec.Name.Name)
			}
		}
	}
	if found > 0 {
		src.groups++
	}
}

func (src *source) readMessage(t testing.TB, spec *ast.ValueSpec) (message, bool) {
	t.Helper()
	constant := spec.Names[0].Name
	if !strings.HasPrefix(constant, "Req") && !strings.HasPrefix(constant, "Event") {
		return message{}, false
	}
	comment := oneLine(spec.Comment.Text())
	parts := signature.FindStringSubmatch(comment)
	if parts == nil {
		t.Fatalf("%s has no comment that names its body", constant)
	}
	name := src.nameOf(t, spec.Values[0])
	remark := strings.TrimLeft(strings.TrimPrefix(comment, parts[0]), " :;")
	return message{constant: constant, name: name, body: parts[1], reply: parts[2], remark: remark}, true
}

// nameOf gives a message's name: a string, or the constant of another message.
func (src *source) nameOf(t testing.TB, e ast.Expr) string {
	t.Helper()
	if lit, ok := e.(*ast.BasicLit); ok {
		return strings.Trim(lit.Value, `"`)
	}
	for _, m := range src.messages {
		if m.constant == typeName(e) {
			return m.name
		}
	}
	t.Fatalf("no message for %v", e)
	return ""
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestEveryMessage(t *testing.T) {
	src := readSource(t)
	byName := map[string]reflect.Type{}
	for _, v := range messageTypes() {
		byName[reflect.TypeOf(v).Name()] = reflect.TypeOf(v)
	}
	for name := range src.structs {
		if byName[name] == nil {
			t.Errorf("messageTypes lacks %s", name)
		}
	}
	seen := map[string]string{}
	for _, m := range src.messages {
		if byName[m.body] == nil || m.reply != "" && byName[m.reply] == nil {
			t.Errorf("%s: the comment names %q -> %q, which are no messages", m.constant, m.body, m.reply)
		}
		isEvent := strings.HasPrefix(m.constant, "Event")
		if isEvent != (m.reply == "") {
			t.Errorf("%s: a request has a reply, an event has none", m.constant)
		}
		key := fmt.Sprint(hopOf(m.group), isEvent, m.name)
		if other := seen[key]; other != "" || m.name == "" || len(m.name) > maxTypeBytes {
			t.Errorf("%s: bad or double name %q (%s)", m.constant, m.name, other)
		}
		seen[key] = m.constant
	}
	if len(src.messages) < 30 {
		t.Errorf("only %d messages found", len(src.messages))
	}
}

// hopOf tells apart where a name may mean something else: the host's pipe, the
// hop to workers, and each of the control sockets.
func hopOf(group int) int {
	if group < controlGroups {
		return group / 3
	}
	return group
}

// controlGroups is the first group of the control sockets.
const controlGroups = 6

// Every field has a name on the wire of its own, so that no rename in Go
// changes the protocol.
func TestEveryFieldIsNamed(t *testing.T) {
	for _, v := range messageTypes() {
		typ := reflect.TypeOf(v)
		names := map[string]bool{}
		for _, f := range reflect.VisibleFields(typ) {
			if f.Anonymous {
				continue
			}
			name, rest, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
			if name == "" || rest != "" || names[name] {
				t.Errorf("%s.%s: msgpack tag %q", typ.Name(), f.Name, f.Tag.Get("msgpack"))
			}
			names[name] = true
		}
	}
}

func TestMessagesRoundTrip(t *testing.T) {
	for _, v := range messageTypes() {
		typ := reflect.TypeOf(v)
		t.Run(typ.Name(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				sent := reflect.New(typ)
				draw(rt, sent.Elem(), typ.Name())
				got := reflect.New(typ)
				if err := through(sent.Interface(), got.Interface()); err != nil {
					rt.Fatal(err)
				}
				if !reflect.DeepEqual(normal(sent), normal(got)) {
					rt.Fatalf("sent %+v\ngot  %+v", sent.Elem(), got.Elem())
				}
			})
		})
	}
}

// through sends a body through a frame.
func through(sent, got any) error {
	frame, err := newEncoder().frame(envelope{kind: kindRequest, id: 1, msgType: "x"}, sent, DefaultMaxFrameBytes)
	if err != nil {
		return err
	}
	env, err := decodeEnvelope(frame[headerBytes:])
	if err != nil {
		return err
	}
	return (&rawBody{conn: NewConn(nil, nil, 0), env: env}).Decode(got)
}

// draw fills a value with random data.
func draw(rt *rapid.T, v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			draw(rt, v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(rt, name+" set") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(rt, v.Elem(), name)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, name))
			return
		}
		n := rapid.IntRange(0, 3).Draw(rt, name+" length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			draw(rt, v.Index(i), fmt.Sprintf("%s[%d]", name, i))
		}
	case reflect.String:
		v.SetString(rapid.StringN(0, 12, 40).Draw(rt, name))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(rt, name))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(rt, name))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Uint8().Draw(rt, name)))
	default:
		rt.Fatalf("%s: no way to draw a %s", name, v.Type())
	}
}

// normal prints a value with nil and empty slices alike.
func normal(v reflect.Value) string {
	text := fmt.Sprintf("%#v", flatten(v.Elem()))
	return text
}

func flatten(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Struct:
		var fields []string
		for i := range v.NumField() {
			fields = append(fields, fmt.Sprintf("%s=%v", v.Type().Field(i).Name, flatten(v.Field(i))))
		}
		sort.Strings(fields)
		return fields
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return []any{flatten(v.Elem())}
	case reflect.Slice:
		items := make([]any, v.Len())
		for i := range items {
			items[i] = flatten(v.Index(i))
		}
		return items
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	}
	return v.Interface()
}
