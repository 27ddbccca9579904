// A wire from a device to an interrupt controller. The device holds an InterruptLine by value; the
// controller behind it is the machine's router, or a fake in tests.
#pragma once

namespace ringside::machine {

class InterruptSink {
 public:
  virtual ~InterruptSink() = default;
  // `asserted` is the logical level: polarity is already taken out.
  virtual void set_line(unsigned line, bool asserted) = 0;
};

class InterruptLine {
 public:
  InterruptLine(InterruptSink& sink, unsigned line) : sink_(&sink), line_(line) {}
  void set(bool asserted) const { sink_->set_line(line_, asserted); }
  // For edge-triggered inputs: one rising edge, and the wire stays high.
  void pulse() const {
    set(false);
    set(true);
  }

 private:
  InterruptSink* sink_;
  unsigned line_;
};

}  // namespace ringside::machine
