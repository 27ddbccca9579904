#include "engine/kvm/code/accesses.h"

#include <gtest/gtest.h>

namespace ringside::kvm {
namespace {

using Code = std::vector<std::uint8_t>;

class Accesses : public ::testing::Test {
 protected:
  Accesses() {
    general.rax = 0x11;
    general.rbx = 0x1000;
    general.rcx = 3;
    general.rsi = 0x2000;
    general.rdi = 0x3000;
    general.rsp = 0x8000;
    general.rbp = 0x9000;
    general.rip = 0x400000;
    system.fs.base = 0x70000000;
    system.ds.base = 0x100;
    system.es.base = 0x200;
    system.ss.base = 0x300;
  }
  std::string of(const Code& code, CodeSize size = CodeSize::Bits64) {
    std::string text;
    for (const MemoryAccess& access : accesses(code, size, general, system)) {
      char one[64];
      std::snprintf(one, sizeof one, "%s%s%llx+%llu ", access.reads ? "r" : "",
                    access.writes ? "w" : "", static_cast<unsigned long long>(access.address.value),
                    static_cast<unsigned long long>(access.size));
      text += one;
    }
    return text;
  }
  kvm_regs general{};
  kvm_sregs system{};
};

TEST_F(Accesses, OfOrdinaryOperands) {
  EXPECT_EQ(of({0x89, 0x03}), "w1000+4 ");                   // mov [rbx], eax
  EXPECT_EQ(of({0x48, 0x8b, 0x43, 0xf8}), "rff8+8 ");        // mov rax, [rbx - 8]
  EXPECT_EQ(of({0x48, 0xff, 0x04, 0xcb}), "rw1018+8 ");      // inc qword [rbx + 8 rcx]
  EXPECT_EQ(of({0xf0, 0x0f, 0xb1, 0x0b}), "rw1000+4 ");      // lock cmpxchg [rbx], ecx
  EXPECT_EQ(of({0x8b, 0x05, 0x10, 0, 0, 0}), "r400016+4 ");  // mov eax, [rip + 16]
  EXPECT_EQ(of({0x64, 0x8a, 0x03}), "r70001000+1 ");         // mov al, fs:[rbx]
  EXPECT_EQ(of({0x67, 0x88, 0x43, 0x01}), "w1001+1 ");       // mov [ebx + 1], al
  EXPECT_EQ(of({0x0f, 0x29, 0x03}), "w1000+16 ");            // movaps [rbx], xmm0
  EXPECT_EQ(of({0xc5, 0xfe, 0x7f, 0x03}), "w1000+32 ");      // vmovdqu [rbx], ymm0
  EXPECT_EQ(of({0xdd, 0x1b}), "w1000+8 ");                   // fstp qword [rbx]
  EXPECT_EQ(of({0x48, 0x8d, 0x03}), "");                     // lea rax, [rbx]
  EXPECT_EQ(of({0x0f, 0x18, 0x0b}), "");                     // prefetch
  EXPECT_EQ(of({0xd7}), "r1011+1 ");                         // xlat
}

TEST_F(Accesses, OfTheStack) {
  EXPECT_EQ(of({0x50}), "w7ff8+8 ");                            // push rax
  EXPECT_EQ(of({0x66, 0x50}), "w7ffe+2 ");                      // push ax
  EXPECT_EQ(of({0x58}), "r8000+8 ");                            // pop rax
  EXPECT_EQ(of({0xff, 0x33}), "r1000+8 w7ff8+8 ");              // push [rbx]
  EXPECT_EQ(of({0xe8, 0, 0, 0, 0}), "w7ff8+8 ");                // call
  EXPECT_EQ(of({0xff, 0x13}), "r1000+8 w7ff8+8 ");              // call [rbx]
  EXPECT_EQ(of({0xc3}), "r8000+8 ");                            // ret
  EXPECT_EQ(of({0x9c}), "w7ff8+8 ");                            // pushf
  EXPECT_EQ(of({0xc9}), "r9000+8 ");                            // leave
  EXPECT_EQ(of({0xff, 0x74, 0x24, 0x08}), "r8008+8 w7ff8+8 ");  // push [rsp + 8]
  system.ss.db = 1;
  EXPECT_EQ(of({0x50}, CodeSize::Bits32), "w82fc+4 ");  // push eax, its segment's base 0x300
}

TEST_F(Accesses, OfStrings) {
  EXPECT_EQ(of({0xf3, 0xa4}), "w3000+1 r2000+1 ");  // rep movsb
  EXPECT_EQ(of({0x48, 0xab}), "w3000+8 ");          // stosq
  EXPECT_EQ(of({0xa6}), "r2000+1 r3000+1 ");        // cmpsb
  EXPECT_EQ(of({0xa4}, CodeSize::Bits32), "w3200+1 r2100+1 ");
  general.rcx = 0;
  EXPECT_EQ(of({0xf3, 0xa4}), "");
}

TEST_F(Accesses, OfBitsBeyondTheOperand) {
  general.rax = 100;
  EXPECT_EQ(of({0x0f, 0xab, 0x03}), "rw100c+4 ");  // bts [rbx], eax
  general.rax = static_cast<std::uint32_t>(-1);
  EXPECT_EQ(of({0x0f, 0xa3, 0x03}), "rffc+4 ");                     // bt [rbx], eax
  general.rax = 1ull << 63;                                         // -2^63 bits are -2^60 bytes
  EXPECT_EQ(of({0x48, 0x0f, 0xa3, 0x03}), "rf000000000001000+8 ");  // bt [rbx], rax
}

TEST_F(Accesses, OfNoInstruction) {
  EXPECT_EQ(of({0x48}), "");
  EXPECT_EQ(of({}), "");
}

}  // namespace
}  // namespace ringside::kvm
