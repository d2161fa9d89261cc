package boots

// recent are machines in the order in which they were heard or asked for: the last is in
// front. The zero value has none. Of as many as anybody may invent, a place in a list of
// its own (container/list) would be 64 bytes more for each.
type recent struct {
	front, back *machine
	n           int
}

// add puts in front a machine that is not among them.
func (r *recent) add(b *machine) {
	b.newer, b.older = nil, r.front
	if r.front == nil {
		r.back = b
	} else {
		r.front.newer = b
	}
	r.front = b
	r.n++
}

// remove takes out one of them.
func (r *recent) remove(b *machine) {
	if b.newer == nil {
		r.front = b.older
	} else {
		b.newer.older = b.older
	}
	if b.older == nil {
		r.back = b.newer
	} else {
		b.older.newer = b.newer
	}
	b.newer, b.older = nil, nil
	r.n--
}
