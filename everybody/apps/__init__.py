"""What people do with poses: a coach, augmented reality, animation. The command line and the web
page call these; nothing below does.
"""
