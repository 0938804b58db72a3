package supervisor

// warmUp has ready, beside the supervisor's goroutine, what the first vat that is
// paged in or started would have to wait for. What is preloaded goes first.
func (s *Supervisor) warmUp() {
	if s.hulls.want == 0 {
		return
	}
	s.warming.Go(func() {
		s.pager.settle()
		s.bases.warm(s.image)
		s.hulls.fill()
		s.spares.fill()
	})
}
