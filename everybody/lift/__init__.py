"""People in space: lifting from one camera, bodies of rigid joints, several cameras."""
