#include "sandbox/filter.h"

#include <sys/socket.h>

namespace ringside::sandbox {
namespace {

constexpr int kHostile[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(personality),
    SCMP_SYS(quotactl),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
};

// With this flag a TCP socket that has no other end, a listener that was shut down among them, is
// connected with the address that comes with the call (tcp(7), TCP_FASTOPEN).
struct SendingCall {
  int call;
  unsigned flags;  // which argument that is
};
constexpr SendingCall kSendTo{SCMP_SYS(sendto), 3}, kSendMessage{SCMP_SYS(sendmsg), 2},
    kSendMessages{SCMP_SYS(sendmmsg), 3};

}  // namespace

void allow_sending(Filter& filter, SendsTo whom) {
  const scmp_arg_cmp connects_not = bits_are(kSendTo.flags, MSG_FASTOPEN, 0);
  if (whom == SendsTo::Anybody) {
    filter.allow(kSendTo.call, {connects_not});
  } else {
    filter.allow(kSendTo.call, {connects_not, argument_is(4, 0)});
  }
  filter.allow(kSendMessage.call, {bits_are(kSendMessage.flags, MSG_FASTOPEN, 0)});
}

void kill_for_what_is_hostile(Filter& filter) {
  for (const int call : kHostile)
    filter.add(SCMP_ACT_KILL_PROCESS, call);
  for (const SendingCall& sends : {kSendTo, kSendMessage, kSendMessages})
    filter.add(SCMP_ACT_KILL_PROCESS, sends.call,
               {bits_are(sends.flags, MSG_FASTOPEN, MSG_FASTOPEN)});
}

}  // namespace ringside::sandbox
