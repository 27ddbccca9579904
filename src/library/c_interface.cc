// The functions of ringside/ringside.h. Each catches whatever is thrown below it: nothing of C++
// crosses to the caller.
#include <array>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "library/c_vm.h"
#include "ringside/debug_endpoint.h"

using ringside::DebugEndpoint;
using ringside::Error;
using ringside::Result;

namespace {

// The text of the last failure. Without an allocation, as there may be no memory; what does not fit
// is cut off.
class LastError {
 public:
  const char* text() const { return text_.data(); }
  ringside_status keep(ringside_status status, const char* text) noexcept {
    text_[std::string_view(text).copy(text_.data(), text_.size() - 1)] = '\0';
    return status;
  }
  ringside_status keep(const Error& error) noexcept {
    return keep(ringside::c::to_status(error.code()), error.text().c_str());
  }

 private:
  std::array<char, 512> text_{};
};

thread_local LastError error_of_open;

// What `call` gives back, or the status that stands for what it throws, with its text in `errors`.
template <typename Call>
ringside_status guarded(LastError& errors, Call call) noexcept {
  try {
    const Result<void> done = call();
    return done ? RINGSIDE_OK : errors.keep(done.error());
  } catch (const std::bad_alloc&) {
    return errors.keep(RINGSIDE_NO_MEMORY, ringside_status_text(RINGSIDE_NO_MEMORY));
  } catch (const std::exception& error) {
    return errors.keep(RINGSIDE_INTERNAL, error.what());
  } catch (...) {
    return errors.keep(RINGSIDE_INTERNAL, ringside_status_text(RINGSIDE_INTERNAL));
  }
}

// For functions that have no room for a status: the error is kept, and `otherwise` given back.
template <typename Value, typename Call>
Value value_or(LastError& errors, Value otherwise, Call call) noexcept {
  guarded(errors, [&]() -> Result<void> {
    otherwise = call();
    return {};
  });
  return otherwise;
}

Result<void> bad(const char* text) { return ringside::fail(ringside::ErrorCode::BadRequest, text); }

std::function<void()> hook(void (*function)(void*), void* user) {
  if (function == nullptr) return {};
  return [function, user] { function(user); };
}

Result<ringside::debug::ServerOptions> to_options(const ringside_options& given, void* user) {
  using ringside::debug::OnKill;
  ringside::debug::ServerOptions options;
  options.wait = given.wait != 0;
  if (given.on_kill != RINGSIDE_KILL_DETACHES && given.on_kill != RINGSIDE_KILL_STOPS)
    return ringside::fail(ringside::ErrorCode::BadRequest, "on_kill is none of RINGSIDE_KILL_");
  options.on_kill = given.on_kill == RINGSIDE_KILL_STOPS ? OnKill::Stop : OnKill::Detach;
  options.hooks.guest_stopped = hook(given.guest_stopped, user);
  options.hooks.guest_resumed = hook(given.guest_resumed, user);
  options.hooks.client_came = hook(given.client_came, user);
  options.hooks.client_went = hook(given.client_went, user);
  if (given.restart != nullptr) {
    options.restart = [restart = given.restart, user]() -> Result<void> {
      const ringside_status status = restart(user);
      if (status != RINGSIDE_OK) return ringside::fail(ringside::c::refused(status));
      return {};
    };
  }
  return options;
}

}  // namespace

struct ringside_endpoint {
  explicit ringside_endpoint(const ringside::c::Machine& machine) : vm(machine) {}

  ringside::c::CVm vm;
  std::unique_ptr<DebugEndpoint> endpoint;  // goes before the Vm
  bool started = false;
  std::string where, token;
  mutable LastError error;
};

extern "C" {

uint32_t ringside_version(void) { return RINGSIDE_VERSION_NUMBER; }

const char* ringside_status_text(ringside_status status) {
  switch (status) {
    case RINGSIDE_OK:
      return "done";
    case RINGSIDE_BAD_REQUEST:
      return "malformed or out of range";
    case RINGSIDE_BAD_ADDRESS:
      return "nothing is at this address";
    case RINGSIDE_NOT_SUPPORTED:
      return "not possible here";
    case RINGSIDE_NOT_FOUND:
      return "there is no such object";
    case RINGSIDE_BUSY:
      return "there are no more of them, or something is in progress";
    case RINGSIDE_SYSTEM:
      return "the operating system refused";
    case RINGSIDE_NO_MEMORY:
      return "there is no memory left";
    case RINGSIDE_INTERNAL:
      return "an internal error";
    default:
      return "an unknown status";
  }
}

ringside_status ringside_open(const ringside_vm_callbacks* callbacks, void* user, const char* where,
                              const ringside_options* options, ringside_endpoint** endpoint) {
  return guarded(error_of_open, [&]() -> Result<void> {
    if (endpoint == nullptr) return bad("no place for the endpoint");
    *endpoint = nullptr;
    if (callbacks == nullptr) return bad("no callbacks");
    if (callbacks->size < offsetof(ringside_vm_callbacks, event_fd))
      return bad("the size in the callbacks is less than what every VMM has");
    const ringside::c::Machine machine{ringside::c::complete(callbacks), user};
    if (const auto fault = ringside::c::find_fault(machine)) return ringside::fail(*fault);
    auto server_options = to_options(ringside::c::complete(options), user);
    if (!server_options) return ringside::fail(server_options.error());

    const int64_t allow = ringside::c::complete(options).allow;
    if (allow != RINGSIDE_ALLOW_SAME_USER && allow != RINGSIDE_ALLOW_ANY)
      return bad("allow is none of RINGSIDE_ALLOW_");

    auto made = std::make_unique<ringside_endpoint>(machine);
    auto opened = DebugEndpoint::open(
        made->vm, where == nullptr ? "" : where, std::move(*server_options), nullptr,
        {allow == RINGSIDE_ALLOW_ANY ? ringside::Allow::Any : ringside::Allow::SameUser,
         {},
         "RINGSIDE_ALLOW_ANY"});
    if (!opened) return ringside::fail(opened.error());
    made->endpoint = std::move(*opened);
    *endpoint = made.release();
    return {};
  });
}

void ringside_close(ringside_endpoint* endpoint) {
  guarded(error_of_open, [&]() -> Result<void> {
    delete endpoint;
    return {};
  });
}

const char* ringside_last_error(const ringside_endpoint* endpoint) {
  return endpoint == nullptr ? error_of_open.text() : endpoint->error.text();
}

ringside_status ringside_start(ringside_endpoint* endpoint) {
  return guarded(endpoint->error, [&]() -> Result<void> {
    if (endpoint->started) return bad("started already");
    endpoint->started = true;
    endpoint->endpoint->start();
    return {};
  });
}

ringside_status ringside_serve(ringside_endpoint* endpoint, int64_t timeout) {
  return guarded(endpoint->error, [&]() -> Result<void> {
    if (timeout < 0) return endpoint->endpoint->serve(std::nullopt);
    return endpoint->endpoint->serve(std::chrono::nanoseconds(timeout));
  });
}

void ringside_wake(const ringside_endpoint* endpoint) { endpoint->endpoint->wake(); }

size_t ringside_descriptors(ringside_endpoint* endpoint, ringside_descriptor* to, size_t room) {
  return value_or(endpoint->error, size_t{0}, [&] {
    const std::vector<DebugEndpoint::Descriptor> all = endpoint->endpoint->descriptors();
    for (size_t i = 0; i < all.size() && i < room; ++i)
      to[i] = {all[i].fd, static_cast<uint32_t>(all[i].interest)};
    return all.size();
  });
}

int64_t ringside_time_to_wait(ringside_endpoint* endpoint) {
  return value_or(endpoint->error, int64_t{0}, [&] {
    const auto time = endpoint->endpoint->time_to_wait();
    return time ? int64_t{time->count()} : int64_t{-1};
  });
}

ringside_status ringside_settle(ringside_endpoint* endpoint) {
  return guarded(endpoint->error, [&]() -> Result<void> {
    endpoint->endpoint->settle();
    return {};
  });
}

ringside_status ringside_adopt(ringside_endpoint* endpoint, int socket) {
  return guarded(endpoint->error, [&] { return endpoint->endpoint->adopt(socket); });
}

const char* ringside_where(ringside_endpoint* endpoint) {
  return value_or(endpoint->error, "", [&] {
    endpoint->where = endpoint->endpoint->where();
    return endpoint->where.c_str();
  });
}

const char* ringside_token(ringside_endpoint* endpoint) {
  return value_or(endpoint->error, "", [&] {
    endpoint->token = endpoint->endpoint->token();
    return endpoint->token.c_str();
  });
}

bool ringside_connected(const ringside_endpoint* endpoint) {
  return value_or(endpoint->error, false, [&] { return endpoint->endpoint->connected(); });
}

bool ringside_wants_vm_end(const ringside_endpoint* endpoint) {
  return value_or(endpoint->error, false, [&] { return endpoint->endpoint->wants_vm_end(); });
}

ringside_status ringside_machine_was_reset(ringside_endpoint* endpoint) {
  return guarded(endpoint->error, [&]() -> Result<void> {
    endpoint->endpoint->machine_was_reset();
    return {};
  });
}

ringside_status ringside_announce_end(ringside_endpoint* endpoint, int status) {
  return guarded(endpoint->error, [&]() -> Result<void> {
    endpoint->endpoint->announce_end(status);
    return {};
  });
}

}  // extern "C"
