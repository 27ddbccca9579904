#include "debug/server/observer.h"

#include <utility>

namespace ringside::debug {

Observer::Observer(Target& target, const ServerOptions& options)
    : target_(target), debugger_(target, options), conversation_(debugger_, options) {
  debugger_.begin_looking();
}

Observer::Observer(Target& target, const ServerOptions& options, Introduction said)
    : target_(target),
      debugger_(target, options),
      conversation_(debugger_, options, std::move(said.link), std::move(said.input),
                    std::move(said.waiting)) {
  debugger_.begin_looking();
  debugger_.wait_for_attach();
  for (const rsp::Request& request : said.answered) {
    conversation_.learn(request);
    (void)debugger_.answer(request);
  }
}

// One request at a time: what a client sends beyond it stays in its socket.
bool Observer::wants_input() const {
  return !debugger_.session().over && !debugger_.scanning() && !conversation_.waiting() &&
         conversation_.wants_input();
}

bool Observer::wants_close() const {
  return conversation_.output().empty() && (debugger_.session().over || target_.ended());
}

Observer::Wants Observer::wants() {
  if (debugger_.session().over || wants_control()) return Wants::Nothing;
  if (debugger_.scanning()) return Wants::AllOut;
  // Nothing runs for it, so there is nothing to interrupt.
  while (!conversation_.waiting()) {
    if (!conversation_.take_input()) return Wants::Nothing;
  }
  using When = Debugger::When;
  const When when = debugger_.when(*conversation_.waiting());
  return when == When::Now ? Wants::AnyMoment : Wants::AllOut;
}

void Observer::serve() {
  if (debugger_.scanning()) {
    conversation_.serve_scan();
  } else {
    conversation_.answer();
  }
}

void Observer::put_off() {
  if (conversation_.waiting()) conversation_.put_off();
}

}  // namespace ringside::debug
