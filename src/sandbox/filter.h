// A filter of system calls (seccomp(2)) while its rules are put together, by way of libseccomp.
#pragma once

#include <seccomp.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "base/result.h"

namespace ringside::sandbox {

// The rules of one filter, until it is loaded.
class Filter {
 public:
  explicit Filter(std::uint32_t otherwise) : context_(::seccomp_init(otherwise)) {
    if (context_ == nullptr) {
      failed_ = -ENOMEM;
      return;
    }
    set(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    set(SCMP_FLTATR_CTL_TSYNC, 1);
    // What follows, a kernel or a libseccomp may not know: refusals in the audit log, no slower
    // loads of what was stored before (which the guest's code would pay for), a tree and no list.
    (void)::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_LOG, 1);
    (void)::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_SSB, 1);
    (void)::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  }

  void add(std::uint32_t action, int call, std::initializer_list<scmp_arg_cmp> arguments = {}) {
    if (failed_ == 0) {
      failed_ = ::seccomp_rule_add_array(
          context_.get(), action, call, static_cast<unsigned>(arguments.size()), arguments.begin());
    }
  }
  void allow(int call, std::initializer_list<scmp_arg_cmp> arguments = {}) {
    add(SCMP_ACT_ALLOW, call, arguments);
  }
  Result<void> load() {
    if (failed_ == 0) failed_ = ::seccomp_load(context_.get());
    if (failed_ == 0) return {};
    // libseccomp hides the kernel's reasons behind this one.
    const int problem = failed_ == -ECANCELED ? EPERM : -failed_;
    return fail(Error::from_errno("system calls cannot be filtered", problem));
  }

 private:
  struct Release {
    void operator()(void* context) const { ::seccomp_release(context); }
  };
  void set(scmp_filter_attr attribute, std::uint32_t value) {
    if (failed_ == 0) failed_ = ::seccomp_attr_set(context_.get(), attribute, value);
  }
  std::unique_ptr<void, Release> context_;
  int failed_ = 0;
};

inline scmp_arg_cmp argument_is(unsigned index, std::uint64_t value) {
  return {index, SCMP_CMP_EQ, value, 0};
}
inline scmp_arg_cmp bits_are(unsigned index, std::uint64_t mask, std::uint64_t value) {
  return {index, SCMP_CMP_MASKED_EQ, mask, value};
}
// An int or unsigned, whatever stands in the upper half of its register.
inline scmp_arg_cmp number_is(unsigned index, std::uint32_t value) {
  return bits_are(index, 0xffffffff, value);
}

// To whom a socket sends: by an address that comes with the call, or to its other end alone.
enum class SendsTo : std::uint8_t { ItsOtherEnd, Anybody };
// sendto(2) and sendmsg(2), but not to connect by them: see kill_for_what_is_hostile(). The address
// of a sendmsg(2) is in memory, where a filter does not look.
void allow_sending(Filter& filter, SendsTo whom);

// Ends the process at what neither the program nor a library that it uses ever calls: other
// programs and processes, other views of the system, the kernel's own code, interfaces that go
// around such a filter, and connections that are made without connect(2).
void kill_for_what_is_hostile(Filter& filter);

}  // namespace ringside::sandbox
